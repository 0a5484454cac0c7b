// An orthographic camera: points of the cube [-1, 1]³ on a picture, with their depth.

/** A function of x, y, z that gives [right, down, depth], for a turn {azimuth, elevation} in radians. */
export function projection({ azimuth, elevation }, center, radius) {
  const [ca, sa] = [Math.cos(azimuth), Math.sin(azimuth)];
  const [ce, se] = [Math.cos(elevation), Math.sin(elevation)];
  return (x, y, z) => {
    const right = x * ca - y * sa, far = x * sa + y * ca;
    return [center[0] + radius * right, center[1] - radius * (far * se + z * ce), far * ce - z * se];
  };
}

/** Seen from above, as a plane is drawn. */
export const ABOVE = { azimuth: 0, elevation: Math.PI / 2 };
/** Seen from a corner, as a space is drawn. */
export const CORNER = { azimuth: 0.6, elevation: 0.5 };

/** The turn after dragging by some pixels. */
export function turned({ azimuth, elevation }, right, down) {
  const limit = Math.PI / 2;
  return { azimuth: azimuth + right / 120, elevation: Math.min(limit, Math.max(-limit, elevation + down / 120)) };
}

/** Between two turns. */
export function between(first, second, share) {
  return {
    azimuth: first.azimuth + share * (second.azimuth - first.azimuth),
    elevation: first.elevation + share * (second.elevation - first.elevation),
  };
}
