// Networks along straight lines. A piece of a line enters a layer with the functions a t + c of the layer's units on it;
// it is cut at the roots of all units that change sign between its ends, and the parts go on to the next layer, from left
// to right. From one part to the next, only the units change whose root lies in between.
//
// Places are homogeneous, (t, w) with entries of at most 1 and w >= 0: t = ±1, w = 0 are the ends of an infinite line.
//
// Bounds of errors are those of cells.h with one coordinate less. The sign of a t + c w at a place that is known to e is
// certain beyond E + (|a| + |c|) (e + rounding), where E bounds the errors of a and c; the root of a unit is (-c, a), so
// that its error is that of the function itself, 2 E / max(|a|, |c|): no angles. What is not certain is decided by exact
// rows, the functions of units on the piece without any rounding, each made when first needed.
#include "lines.h"

#include "exact.h"
#include "load.h"
#include "sharp.h"

namespace jaxgeom {
namespace {

// Digits of positions and of maps, as bounds of errors have it; most errors are a hundred times smaller.
constexpr double kPlaceDigits = 1e10, kMapDigits = 1e8;

struct ExactRow { Exact a, c; };

struct Entry {  // a piece on its way into a layer: where the functions of the layer's units come from
    const Entry *before;
    int layer;
    double *rows;            // a, c and E of all units, each of the layer's stride
    const uint64_t *active;  // which units of the layer before are active
    double *sharp;           // rows in twice the precision, null where these are of no use
    mutable bool is_sharp = false;
    mutable double sharp_input = 0, sharp_delta = 0;  // bounds of errors: of what the layer gets, and of its rows
    mutable std::vector<std::unique_ptr<ExactRow>> exact{};
};

struct Place {
    double t, w, e;
    const Entry *entry;  // null: an end of the line
    int unit;            // whose root it is; of an end, 0 for the first and 1 for the last
};

struct Root {
    double key, error;   // along the line, from -2 to 2
    int unit;
    bool rises;
    double t, w, e;
};

struct Walk {
    const Network &net;
    const Lines &lines;
    const bool has_ends;
    Arena &arena;
    const std::atomic<int> *stop;
    LineArrays &out;
    Sparse sparse{};
    const double *from = nullptr, *to = nullptr;  // of the line at hand, as given
    const Pair *change = nullptr, *origin = nullptr;  // the line in the units of the first layer: t change + origin
    int t_exponent = 0;                           // t is in units of this power of two
    int64_t count = 0;
    bool is_degenerate = false, is_first = true, can_sharpen = true;
    double last_t = 0;

    void line(int64_t index) {
        const int in = net.layers[0].in;
        const auto mark = arena.mark();
        from = lines.start + index * in, to = lines.stop + index * in;
        Pair *direction = arena.take<Pair>(in), *start = arena.take<Pair>(in);
        double *a = arena.take<double>(in), *c = arena.take<double>(in);
        int *unit = arena.take<int>(in);
        double along = 0, away = 0;
        for (int i = 0; i < in; i++) {
            const double p = from[i] / net.unit, q = to[i] / net.unit;
            direction[i] = sum_of(q, -p), start[i] = {p, 0};
            along += direction[i].high * direction[i].high, away += p * p;
        }
        t_exponent = 0;
        if (lines.is_infinite && along > 0 && away > 0) {  // as long as the way from the origin
            t_exponent = std::clamp(static_cast<int>(exponent_of(&away, 1) - exponent_of(&along, 1)) / 2, -200, 200);
            for (int i = 0; i < in; i++) direction[i] = {std::ldexp(direction[i].high, t_exponent), std::ldexp(direction[i].low, t_exponent)};
            along = std::ldexp(along, 2 * t_exponent);
        }
        for (int i = 0; i < in; i++) a[i] = direction[i].high, c[i] = start[i].high, unit[i] = i;
        change = direction, origin = start;
        count = 0, is_degenerate = false, is_first = true, last_t = -INFINITY;
        double *next = first_rows(0);
        add_all(0, in, unit, a, c, next);
        const Place begin{lines.is_infinite ? -1.0 : 0.0, lines.is_infinite ? 0.0 : 1.0, 0, nullptr, 0};
        const Place end{1, lines.is_infinite ? 0.0 : 1.0, 0, nullptr, 1};
        enter(0, begin, end, next, kEps * std::sqrt(along) * 1.0001, along + away, in, nullptr, nullptr);
        out.counts.push_back(count), out.degenerate.push_back(is_degenerate);
        arena.release(mark);
    }

    // ---- exact decisions

    static double factor_below(const Entry &entry, const Layer &below, int i) {
        return below.slope[i] == 1 || (entry.active[i >> 6] >> (i & 63) & 1) ? 1 : below.slope[i];
    }
    const ExactRow &exact_row(const Entry *entry, int unit) {
        const Layer &layer = net.layers[entry->layer];
        if (entry->exact.empty()) entry->exact.resize(layer.out);
        if (entry->exact[unit]) return *entry->exact[unit];
        std::unique_ptr<ExactRow> row(new ExactRow{Exact(), Exact(layer.offsets[unit])});
        for (const auto &[i, weight] : sparse.column(net, entry->layer, unit)) {
            if (entry->layer == 0) {
                const Exact start(from[i]);
                row->a += Exact(weight) * (Exact(to[i]) - start), row->c += Exact(weight) * start;
                continue;
            }
            const double slope = factor_below(*entry, net.layers[entry->layer - 1], i);
            if (slope == 0) continue;
            const Exact factor = slope == 1 ? Exact(weight) : Exact(weight) * Exact(slope);
            const ExactRow &below = exact_row(entry->before, i);
            row->a += factor * below.a, row->c += factor * below.c;
        }
        entry->exact[unit] = std::move(row);
        return *entry->exact[unit];
    }
    int exact_sign(const Entry &entry, int unit, const Place &place) {
        const ExactRow &row = exact_row(&entry, unit);
        int sign;
        if (place.entry) {
            const ExactRow &other = exact_row(place.entry, place.unit);
            sign = (row.c * other.a - row.a * other.c).sign() * other.a.sign();
        } else if (lines.is_infinite) {
            sign = row.a.is_zero() ? row.c.sign() : place.unit ? row.a.sign() : -row.a.sign();
        } else {
            sign = place.unit ? (row.a + row.c).sign() : row.c.sign();
        }
        if (sign == 0) is_degenerate = true;
        return sign;
    }
    int sign_at(const Entry &entry, int unit, const Place &place) {
        const int p = net.layers[entry.layer].stride;
        const double a = entry.rows[unit], c = entry.rows[p + unit], z = a * place.t + c * place.w;
        const double tolerance = entry.rows[2 * p + unit] + (std::fabs(a) + std::fabs(c)) * (place.e + 8 * kEps);
        return z > tolerance ? 1 : -z > tolerance ? -1 : exact_sign(entry, unit, place);
    }
    // Of the roots of two units on one piece: which comes first.
    int compare(const Entry &entry, const Root &p, const Root &q) {
        const double gap = p.key - q.key;
        if (std::fabs(gap) > p.error + q.error) return gap < 0 ? -1 : 1;
        if (p.unit == q.unit) return 0;
        const ExactRow &x = exact_row(&entry, p.unit), &y = exact_row(&entry, q.unit);
        const int sign = (y.c * x.a - x.c * y.a).sign();
        return p.rises == q.rises ? sign : -sign;
    }

    // ---- functions in float64 and in twice the precision

    double *first_rows(int l) {  // those of a layer that gets nothing
        const Layer &layer = net.layers[l];
        double *rows = arena.take<double>(3 * layer.stride);
        std::memset(rows, 0, sizeof(double) * layer.stride);
        std::memcpy(rows + layer.stride, layer.bias, sizeof(double) * layer.stride);
        return rows;
    }
    void add_all(int l, int n, const int *unit, const double *a, const double *c, double *rows) {
        const Layer &layer = net.layers[l];
        const int p = layer.stride;
        for (int j = 0; j < p; j += kLanes) {
            Vec x = load(rows + j), y = load(rows + p + j);
            for (int i = 0; i < n; i++) {
                const Vec k = load(layer.kernel + static_cast<size_t>(unit[i]) * p + j);
                x += k * a[i], y += k * c[i];
            }
            store(rows + j, x), store(rows + p + j, y);
        }
    }
    void sharpen(const Entry &entry) {
        if (entry.is_sharp) return;
        entry.is_sharp = true;
        const Layer &layer = net.layers[entry.layer];
        const int l = entry.layer, p = layer.stride, num_below = layer.in;
        double delta = kFloor, squares = 0;
        if (l) sharpen(*entry.before), delta = entry.before->sharp_delta * net.layers[l - 1].steepest;
        const auto mark = arena.mark();
        Input<2> *inputs = arena.take<Input<2>>(num_below);
        int n = 0;
        for (int i = 0; i < num_below; i++) {
            Input<2> &input = inputs[n];
            input.unit = i;
            if (l == 0) {
                input.value[0] = change[i], input.value[1] = origin[i];
            } else {
                const double factor = factor_below(entry, net.layers[l - 1], i), *below = entry.before->sharp;
                const int q = net.layers[l - 1].stride;
                if (factor == 0) continue;
                for (int s = 0; s < 2; s++) input.value[s] = times(factor, below[s * q + i], below[(2 + s) * q + i]);
            }
            n++;
            for (int s = 0; s < 2; s++) squares += input.value[s].high * input.value[s].high;
        }
        const bool is_safe = squares < 1e250;  // else nothing is known, as of functions in float64
        if (is_safe) sharp_rows<2>(layer, n, inputs, entry.sharp);
        else std::memset(entry.sharp, 0, sizeof(double) * 4 * p);
        arena.release(mark);
        const double g = sharp_rounding(num_below), h = g * std::sqrt(2 * squares) * 1.0001 + kFloor;
        entry.sharp_input = is_safe ? delta + h : 1e290;
        entry.sharp_delta = is_safe ? layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor : 1e290;
    }

    // The root of one unit by its function in twice the precision; false if that is not known well enough.
    bool sharp_root(const Entry &entry, int unit, double &t) {
        if (!entry.sharp) return false;
        const int l = entry.layer;
        const Layer &layer = net.layers[l];
        double delta = kFloor, squares = 0;
        if (l) sharpen(*entry.before), delta = entry.before->sharp_delta * net.layers[l - 1].steepest;
        Pair row[2] = {{0, 0}, {layer.bias[unit], 0}};
        for (int i = 0; i < layer.in; i++) {
            const double weight = layer.kernel[static_cast<size_t>(i) * layer.stride + unit], factor = l ? factor_below(entry, net.layers[l - 1], i) : 1;
            if (factor == 0) continue;
            for (int s = 0; s < 2; s++) {
                const int q = l ? net.layers[l - 1].stride : 0;
                const Pair value = l ? times(factor, entry.before->sharp[s * q + i], entry.before->sharp[(2 + s) * q + i]) : s ? origin[i] : change[i];
                row[s] = plus(row[s], times(value, {weight, 0}));
                squares += value.high * value.high;
            }
        }
        const double g = sharp_rounding(layer.in), h = g * std::sqrt(2 * squares) * 1.0001 + kFloor;
        const double error = layer.column_norm[unit] * (delta + h) + g * std::fabs(layer.bias[unit]) + kFloor;
        if (!(squares < 1e250 && delta < 1e280 && std::fabs(row[0].high) > kPlaceDigits * error)) return false;
        t = std::ldexp(-quotient(row[1], row[0]).high, t_exponent);
        return std::fabs(t) < 1e280;
    }

    // ---- the recursion

    // delta: of what the layer gets. squares: of all that was summed up for its functions, in so many terms.
    void enter(int l, const Place &begin, const Place &end, double *rows, double delta, double squares, int terms, const Entry *before, const uint64_t *active) {
        if (l == net.num_layers || (stop && stop->load(std::memory_order_relaxed))) return;
        const auto mark = arena.mark();
        const Layer &layer = net.layers[l];
        const int p = layer.stride;
        double *bound = rows + 2 * p;
        const double g = (terms + 6) * kEps, h = g * std::sqrt(2 * squares) * 1.0001 + kFloor;
        delta *= l ? net.layers[l - 1].steepest : 1;
        const bool is_safe = squares < 1e280 && delta < 1e280;
        for (int j = 0; j < p; j++) bound[j] = is_safe ? layer.column_norm[j] * (delta + h) + g * std::fabs(layer.bias[j]) + kFloor : 1e280;
        if (!is_safe) std::memset(rows, 0, sizeof(double) * 2 * p);
        const Entry entry{before, l, rows, active, can_sharpen ? arena.take<double>(4 * p) : nullptr};
        if (l == net.depth) emit(entry, is_safe);
        else cut(entry, begin, end, is_safe ? layer.spectral * delta + layer.frobenius * h + g * layer.bias_norm + kFloor : 1e290);
        arena.release(mark);
    }

    // The rows rounded from twice the precision; the bound of their errors.
    double use_sharp(const Entry &entry) {
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        sharpen(entry);
        std::memcpy(entry.rows, entry.sharp, sizeof(double) * 2 * p);
        double size = 0;
        for (int j = 0; j < p; j++) {
            const double a = entry.rows[j], c = entry.rows[p + j];
            entry.rows[2 * p + j] = layer.column_norm[j] * entry.sharp_input + sharp_rounding(layer.in) * std::fabs(layer.bias[j]) + kFloor;
            size += a * a + c * c;
        }
        return entry.sharp_delta + 2 * kEps * std::sqrt(size) + kFloor;
    }

    void cut(const Entry &entry, const Place &begin, const Place &end, double delta) {
        const int l = entry.layer;
        const Layer &layer = net.layers[l];
        const int p = layer.stride, words = (layer.out + 63) >> 6;
        double *a = entry.rows, *c = entry.rows + p, *bound = entry.rows + 2 * p;
        uint64_t *bits = arena.take<uint64_t>(words), *crosses = arena.take<uint64_t>(words), *is_open = arena.take<uint64_t>(words);
        bool may_sharpen = entry.sharp && delta < 1e280;
        for (;;) {
            std::fill(bits, bits + words, 0), std::fill(crosses, crosses + words, 0), std::fill(is_open, is_open + words, 0);
            for (int j = 0; j < p; j += kLanes) {
                const Vec x = load(a + j), y = load(c + j), size = magnitude(x) + magnitude(y);
                const Vec first = x * begin.t + y * begin.w, last = x * end.t + y * end.w;
                const Vec of_first = load(bound + j) + size * (begin.e + 8 * kEps), of_last = load(bound + j) + size * (end.e + 8 * kEps);
                const unsigned first_above = sign_bits(of_first - first), first_below = sign_bits(of_first + first);
                const unsigned last_above = sign_bits(of_last - last), last_below = sign_bits(of_last + last);
                const unsigned on = first_above & last_above, off = first_below & last_below;
                const unsigned cross = (first_above & last_below) | (first_below & last_above), known = on | off | cross;
                const int word = j >> 6, shift = j & 63;
                bits[word] |= static_cast<uint64_t>(first_above & known) << shift;  // at the first end
                crosses[word] |= static_cast<uint64_t>(cross) << shift;
                is_open[word] |= static_cast<uint64_t>(~known & kAllLanes) << shift;
            }
            if (!may_sharpen) break;
            bool pays = false;
            for (int i = 0; i < layer.num_candidates && !pays; i++) {
                const int j = layer.candidates[i];
                pays = (is_open[j >> 6] >> (j & 63) & 1) && bound[j] > 32 * kEps * (std::fabs(a[j]) + std::fabs(c[j]));
            }
            if (!pays) break;
            delta = use_sharp(entry);
            may_sharpen = false;
        }
        int num_roots = 0;
        Root *roots = arena.take<Root>(layer.num_candidates);
        for (int i = 0; i < layer.num_candidates; i++) {
            const int j = layer.candidates[i];
            const uint64_t bit = uint64_t(1) << (j & 63);
            bool is_crossing = (crosses[j >> 6] & bit) != 0;
            if (is_open[j >> 6] & bit) {
                const int first = sign_at(entry, j, begin), last = sign_at(entry, j, end);
                is_crossing = first * last < 0;
                if (is_crossing ? first > 0 : std::max(first, last) > 0) bits[j >> 6] |= bit;
            }
            if (is_crossing) roots[num_roots++] = root_of(j, a[j], c[j], bound[j], !(bits[j >> 6] & bit));
        }
        const auto is_before = [&](const Root &x, const Root &y) { return compare(entry, x, y) < 0; };
        std::sort(roots, roots + num_roots, is_before);
        follow(entry, begin, end, delta, bits, roots, num_roots);
    }
    static Root root_of(int unit, double a, double c, double bound, bool rises) {
        // a has the sign that says so, whatever rounding makes of it: the other one is at the other end of the line
        const double across = std::max(rises ? a : -a, 0.0), along = rises ? -c : c, size = std::max(across, std::fabs(along));
        Root root{0, 4, unit, rises, 0, 1, 1e30};
        if (!(bound < 0.01 * size)) return root;
        root.t = along / size, root.w = across / size, root.e = 2.1 * bound / size + 4 * kEps, root.error = 2 * root.e;
        root.key = root.w == 1 ? root.t : root.t > 0 ? 2 - root.w : root.w - 2;
        return root;
    }
    // Takes one of the sorted roots as part of the breakpoint before it, or else as a new one: then true.
    bool note(const Entry &entry, const Root *roots, int i) {
        const Root &root = roots[i];
        if (net.layers[entry.layer].first_twin[root.unit] >= 0) is_degenerate = true;
        if (i && compare(entry, roots[i - 1], root) == 0) {
            is_degenerate = true;
            return false;
        }
        count++;
        return true;
    }

    // The parts of a piece between its roots, one after the other.
    void follow(const Entry &entry, const Place &begin, const Place &end, double delta, uint64_t *bits, const Root *roots, int num_roots) {
        const int l = entry.layer;
        const Layer &layer = net.layers[l], &above = net.layers[l + 1];
        const int p = layer.stride, q = above.stride;
        double *next = first_rows(l + 1), *own = arena.take<double>(3 * q);
        double *on_a = arena.take<double>(p), *on_c = arena.take<double>(p);
        int *on_unit = arena.take<int>(p);
        int terms = 0;
        double squares = 0;
        const auto add = [&](int j, double factor) {
            on_unit[terms] = j, on_a[terms] = factor * entry.rows[j], on_c[terms] = factor * entry.rows[p + j];
            squares += on_a[terms] * on_a[terms] + on_c[terms] * on_c[terms];
            terms++;
        };
        for (int i = 0; i < layer.num_linear; i++) {
            const int j = layer.linear[i];
            bits[j >> 6] &= ~(uint64_t(1) << (j & 63));  // never part of a pattern
            add(j, 1);
        }
        const auto for_twins = [&](int unit, bool is_on, const auto &job) {
            for (int j = unit; j >= 0; j = j == unit ? layer.first_twin[unit] : layer.next_twin[j])
                job(j, is_on == (layer.twin_sign[j] == layer.twin_sign[unit]));
        };
        for (int i = 0; i < layer.num_candidates; i++) {
            const int unit = layer.candidates[i];
            for_twins(unit, bits[unit >> 6] >> (unit & 63) & 1, [&](int j, bool on) { start_unit(entry, j, on, bits, add); });
        }
        add_all(l + 1, terms, on_unit, on_a, on_c, next);
        for (int i = 0; i < num_roots; i++) {  // what is added and taken away later on
            for_twins(roots[i].unit, false, [&](int j, bool) {
                const double a = entry.rows[j], c = entry.rows[p + j], size = 4 * layer.steepest * layer.steepest;
                squares += size * (a * a + c * c), terms += 2;
            });
        }
        Place left = begin;
        for (int i = 0; i <= num_roots; i++) {
            if (i == num_roots || i == 0 || compare(entry, roots[i - 1], roots[i]) != 0) {
                const Place right = i < num_roots ? Place{roots[i].t, roots[i].w, roots[i].e, &entry, roots[i].unit} : end;
                std::memcpy(own, next, sizeof(double) * 2 * q);
                enter(l + 1, left, right, own, delta, squares, terms, &entry, bits);
                left = right;
            }
            if (i == num_roots) return;
            if (note(entry, roots, i)) list(entry, roots[i]);
            else out.units.back() = std::min(out.units.back(), roots[i].unit);
            for_twins(roots[i].unit, roots[i].rises, [&](int j, bool on) { flip(entry, j, on, bits, next); });
        }
    }
    template <class Add>
    void start_unit(const Entry &entry, int j, bool on, uint64_t *bits, const Add &add) {
        const double slope = net.layers[entry.layer].slope[j];
        if (on) bits[j >> 6] |= uint64_t(1) << (j & 63);
        else bits[j >> 6] &= ~(uint64_t(1) << (j & 63));
        if (on || slope != 0) add(j, on ? 1 : slope);
    }
    void flip(const Entry &entry, int j, bool on, uint64_t *bits, double *next) {
        const Layer &layer = net.layers[entry.layer];
        bits[j >> 6] ^= uint64_t(1) << (j & 63);
        const double slope = layer.slope[j], factor = on ? 1 - slope : slope - 1;
        const double a = factor * entry.rows[j], c = factor * entry.rows[layer.stride + j];
        add_all(entry.layer + 1, 1, &j, &a, &c, next);
    }

    // ---- what is found

    void list(const Entry &entry, const Root &root) {
        const int p = net.layers[entry.layer].stride, j = root.unit;
        double t = root.t / root.w;
        const double a = std::fabs(entry.rows[j]);
        if (a > kPlaceDigits * entry.rows[2 * p + j] && std::fabs(t) < 1e280) {
            t = std::ldexp(t, t_exponent);
        } else if (!sharp_root(entry, j, t)) {
            const ExactRow &row = exact_row(&entry, j);
            t = -ratio(row.c, row.a);
        }
        if (!lines.is_infinite) t = std::min(std::max(t, 0.0), 1.0);
        last_t = std::max(t, last_t);  // different ones may be rounded to the same number
        out.t.push_back(last_t == 0 ? 0.0 : last_t);
        out.layers.push_back(entry.layer), out.units.push_back(j);
    }
    void emit(const Entry &entry, bool is_safe) {
        const Layer &layer = net.layers[entry.layer];
        const int p = layer.stride;
        if (entry.sharp && is_safe) {
            bool is_blurred = false;
            for (int j = 0; j < layer.out; j++) is_blurred |= !(std::fabs(entry.rows[j]) > kMapDigits * entry.rows[2 * p + j]);
            if (is_blurred) use_sharp(entry);
        }
        for (int j = 0; j < layer.out; j++) {
            const double a = entry.rows[j], c = entry.rows[p + j];
            if (std::fabs(a) > kMapDigits * entry.rows[2 * p + j] && std::max(std::fabs(a), std::fabs(c)) < 1e280) {
                out.maps.push_back(std::ldexp(a, net.output_exponent - t_exponent)), out.maps.push_back(std::ldexp(c, net.output_exponent));
            } else {
                const ExactRow &row = exact_row(&entry, j);
                const Exact one(1);
                out.maps.push_back(ratio(row.a, one)), out.maps.push_back(ratio(row.c, one));
            }
        }
        if (!has_ends) return;
        const size_t num_units = net.unit_offsets[net.depth];
        if (is_first) out.ends.resize(out.ends.size() + 2 * num_units, 0);
        uint8_t *patterns = out.ends.data() + out.ends.size() - 2 * num_units;
        const Entry *above = &entry;
        for (int l = net.depth - 1; l >= 0; l--, above = above->before)
            for (int j = 0; j < net.layers[l].out; j++) patterns[num_units + net.unit_offsets[l] + j] = above->active[j >> 6] >> (j & 63) & 1;
        if (is_first) std::memcpy(patterns, patterns + num_units, num_units);
        is_first = false;
    }
};

double largest(const double *values, int64_t n) {
    double size = 0;
    for (int64_t i = 0; i < n; i++) size = std::max(size, std::fabs(values[i]));
    return size;
}

}  // namespace

void trace(const Source &source, int64_t index, const Lines &lines, int64_t first, int64_t last, bool has_ends, const std::atomic<int> *stop, LineArrays &out) {
    Arena &arena = own_arena();
    const auto mark = arena.mark();
    const int64_t in = source.widths[0];
    // Networks are scaled for the size of a line, in steps so large that most lines have the same.
    constexpr int kNone = INT32_MIN;  // of lines that are not finite
    const auto scale_of = [&](int64_t line) {
        const double *start = lines.start + line * in, *stop = lines.stop + line * in;
        if (!all_finite(start, in) || !all_finite(stop, in)) return kNone;
        const double size = std::max(largest(start, in), largest(stop, in));
        return std::clamp(64 * static_cast<int>(std::lround(unit_exponent_of(size) / 64.0)), -960, 960);
    };
    for (int64_t from = first, to; from < last; from = to) {
        const int scale = scale_of(from);
        to = from + 1;
        while (to < last && scale_of(to) == scale) to++;
        const Network net = load_network(source, index, scale == kNone ? 0 : scale, arena);
        if (scale == kNone || !net.is_finite) {
            out.counts.insert(out.counts.end(), to - from, -1), out.degenerate.insert(out.degenerate.end(), to - from, 0);
            if (has_ends) out.ends.resize(out.ends.size() + (to - from) * 2 * num_units(source), 0);
        } else {
            Walk walk{net, lines, has_ends, arena, stop, out};
            walk.can_sharpen = !net.is_sparse;
            for (int l = 0; l < net.depth; l++) walk.can_sharpen = walk.can_sharpen && net.layers[l].steepest < 1e100;
            for (int64_t i = from; i < to && !(stop && *stop); i++) walk.line(i);
        }
        arena.release(mark);
    }
}

}  // namespace jaxgeom
