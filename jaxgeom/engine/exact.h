// Exact arithmetic for the signs that float64 cannot decide: dyadic rationals, sums and products of doubles.
//
// A number is sign * magnitude * 2^(64 * exponent), the magnitude an integer of 64-bit limbs, least significant first.
// The highest and the lowest limb are never zero, so that each value has one form. Up to six limbs need no memory.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

namespace jaxgeom {

class Exact {
  public:
    Exact() = default;
    explicit Exact(double value) {
        if (value == 0) return;
        uint64_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        const int biased = static_cast<int>(bits >> 52 & 0x7ff);
        uint64_t mantissa = bits & ((uint64_t(1) << 52) - 1);
        if (biased) mantissa |= uint64_t(1) << 52;
        const int exponent = (biased ? biased : 1) - 1075;
        const int shift = exponent & 63;  // with the line below: negative numbers round down
        exponent_ = exponent >> 6;
        const unsigned __int128 wide = static_cast<unsigned __int128>(mantissa) << shift;
        inline_[0] = static_cast<uint64_t>(wide);
        inline_[1] = static_cast<uint64_t>(wide >> 64);
        sign_ = bits >> 63 ? -1 : 1;
        size_ = 2;
        trim();
    }
    Exact(const Exact &other) { copy(other); }
    Exact(Exact &&other) noexcept { take(other); }
    Exact &operator=(const Exact &other) {
        if (this != &other) { free(); copy(other); }
        return *this;
    }
    Exact &operator=(Exact &&other) noexcept {
        if (this != &other) { free(); take(other); }
        return *this;
    }
    ~Exact() { free(); }

    int sign() const { return sign_; }
    bool is_zero() const { return sign_ == 0; }
    void negate() { sign_ = -sign_; }

    friend Exact operator*(const Exact &a, const Exact &b) {
        Exact product;
        if (!a.sign_ || !b.sign_) return product;
        product.reserve(a.size_ + b.size_);
        uint64_t *out = product.limbs();
        const uint64_t *x = a.limbs(), *y = b.limbs();
        for (int i = 0; i < a.size_; i++) {
            uint64_t carry = 0;
            for (int j = 0; j < b.size_; j++) {
                const uint64_t before = i ? out[i + j] : 0;
                const unsigned __int128 sum = static_cast<unsigned __int128>(x[i]) * y[j] + before + carry;
                out[i + j] = static_cast<uint64_t>(sum);
                carry = static_cast<uint64_t>(sum >> 64);
            }
            out[i + b.size_] = carry;
        }
        product.sign_ = a.sign_ * b.sign_;
        product.size_ = a.size_ + b.size_;
        product.exponent_ = a.exponent_ + b.exponent_;
        product.trim();
        return product;
    }

    friend Exact operator+(const Exact &a, const Exact &b) { return sum(a, b, b.sign_); }
    friend Exact operator-(const Exact &a, const Exact &b) { return sum(a, b, -b.sign_); }
    Exact &operator+=(const Exact &other) { return *this = sum(*this, other, other.sign_); }

    // The number as mantissa * 2^exponent, the mantissa in ±[1/2, 1) and rounded once.
    double mantissa(int64_t &exponent) const {
        exponent = 0;
        if (!sign_) return 0;
        const uint64_t *x = limbs();
        const int shift = __builtin_clzll(x[size_ - 1]);
        uint64_t top = x[size_ - 1] << shift;
        bool rest = false;
        if (size_ > 1) {
            if (shift) top |= x[size_ - 2] >> (64 - shift);
            rest = (shift ? x[size_ - 2] << shift : x[size_ - 2]) != 0 || size_ > 2;
        }
        if (rest) top |= 1;  // beyond the 53 bits of a double: breaks ties as the whole number does
        exponent = 64 * (static_cast<int64_t>(exponent_) + size_) - shift;
        return sign_ * std::ldexp(static_cast<double>(top), -64);
    }

  private:
    static constexpr int kInline = 6;
    int32_t sign_ = 0, size_ = 0, exponent_ = 0, capacity_ = kInline;
    union {
        uint64_t inline_[kInline];
        uint64_t *heap_;
    };

    uint64_t *limbs() { return capacity_ > kInline ? heap_ : inline_; }
    const uint64_t *limbs() const { return capacity_ > kInline ? heap_ : inline_; }
    void reserve(int size) {  // of an empty number
        if (size > kInline) {
            heap_ = new uint64_t[size];
            capacity_ = size;
        }
    }
    void free() {
        if (capacity_ > kInline) delete[] heap_;
        capacity_ = kInline;
    }
    void copy(const Exact &other) {
        sign_ = other.sign_, size_ = other.size_, exponent_ = other.exponent_, capacity_ = kInline;
        reserve(size_);
        std::memcpy(limbs(), other.limbs(), sizeof(uint64_t) * size_);
    }
    void take(Exact &other) {
        sign_ = other.sign_, size_ = other.size_, exponent_ = other.exponent_, capacity_ = other.capacity_;
        if (capacity_ > kInline) heap_ = other.heap_;
        else std::memcpy(inline_, other.inline_, sizeof(uint64_t) * size_);
        other.capacity_ = kInline, other.sign_ = other.size_ = 0;
    }
    void trim() {
        uint64_t *x = limbs();
        while (size_ && !x[size_ - 1]) size_--;
        int zeros = 0;
        while (zeros < size_ && !x[zeros]) zeros++;
        if (zeros) {
            size_ -= zeros, exponent_ += zeros;
            for (int i = 0; i < size_; i++) x[i] = x[i + zeros];
        }
        if (!size_) sign_ = exponent_ = 0;
    }
    static Exact sum(const Exact &a, const Exact &b, int sign_of_b) {
        if (!sign_of_b) return a;
        if (!a.sign_) {
            Exact result(b);
            result.sign_ = sign_of_b;
            return result;
        }
        const int low = a.exponent_ < b.exponent_ ? a.exponent_ : b.exponent_;
        const int top_a = a.exponent_ + a.size_, top_b = b.exponent_ + b.size_;
        const int size = (top_a > top_b ? top_a : top_b) - low + 1;
        const bool is_sum = a.sign_ == sign_of_b;
        const bool a_first = is_sum || !less(a, b);  // in magnitude
        const Exact &first = a_first ? a : b, &second = a_first ? b : a;
        Exact result;
        result.reserve(size);
        uint64_t *out = result.limbs();
        const uint64_t *x = first.limbs(), *y = second.limbs();
        const int shift_x = first.exponent_ - low, shift_y = second.exponent_ - low;
        uint64_t carry = 0;
        for (int i = 0; i < size; i++) {
            const uint64_t p = i >= shift_x && i < shift_x + first.size_ ? x[i - shift_x] : 0;
            const uint64_t q = i >= shift_y && i < shift_y + second.size_ ? y[i - shift_y] : 0;
            const unsigned __int128 total = is_sum ? static_cast<unsigned __int128>(p) + q + carry : static_cast<unsigned __int128>(p) - q - carry;
            out[i] = static_cast<uint64_t>(total);
            carry = static_cast<uint64_t>(total >> 64) & 1;
        }
        result.sign_ = a_first ? a.sign_ : sign_of_b;
        result.size_ = size;
        result.exponent_ = low;
        result.trim();
        return result;
    }
    static bool less(const Exact &a, const Exact &b) {  // in magnitude
        const int top_a = a.exponent_ + a.size_, top_b = b.exponent_ + b.size_;
        if (top_a != top_b) return top_a < top_b;
        const uint64_t *x = a.limbs(), *y = b.limbs();
        for (int i = 1; i <= a.size_ || i <= b.size_; i++) {
            const uint64_t p = i <= a.size_ ? x[a.size_ - i] : 0, q = i <= b.size_ ? y[b.size_ - i] : 0;
            if (p != q) return p < q;
        }
        return false;
    }
};

// a / b as a double, for b not 0: right to about two units in the last place; infinite or 0 beyond the range of doubles.
inline double ratio(const Exact &a, const Exact &b) {
    int64_t p, q;
    const double x = a.mantissa(p), y = b.mantissa(q);
    const int64_t exponent = p - q;
    const int bounded = exponent > 4000 ? 4000 : exponent < -4000 ? -4000 : static_cast<int>(exponent);
    return std::ldexp(x / y, bounded);
}

struct ExactVector {  // a line a x + b y + c w = 0, or a homogeneous point (x, y, w)
    Exact x, y, w;
};

inline bool is_zero(const ExactVector &p) { return p.x.is_zero() && p.y.is_zero() && p.w.is_zero(); }
inline ExactVector cross(const ExactVector &p, const ExactVector &q) {
    return {p.y * q.w - p.w * q.y, p.w * q.x - p.x * q.w, p.x * q.y - p.y * q.x};
}
inline Exact dot(const ExactVector &p, const ExactVector &q) { return p.x * q.x + p.y * q.y + p.w * q.w; }

}  // namespace jaxgeom
