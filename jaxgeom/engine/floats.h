// Floating-point arithmetic as the standard has it, for as long as one of these lives: rounding to nearest, subnormal
// numbers kept. XLA calls from threads that take subnormal numbers for zero, and threads inherit that from who starts them.
#pragma once

#include <cfenv>
#include <cmath>

namespace jaxgeom {

// The least number but zero. A number that has become zero by scaling stays what its sign was.
constexpr double kTiniest = 5e-324;
inline double nonzero(double scaled, double number) { return scaled == 0 && number != 0 ? std::copysign(kTiniest, number) : scaled; }

class StandardFloats {
  public:
    StandardFloats() {
        std::fegetenv(&before_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~StandardFloats() { std::fesetenv(&before_); }
    StandardFloats(const StandardFloats &) = delete;
    StandardFloats &operator=(const StandardFloats &) = delete;

  private:
    std::fenv_t before_;
};

}  // namespace jaxgeom
