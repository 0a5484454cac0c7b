// Which of the libraries that are compiled for sets of instructions this processor runs.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#endif

namespace jaxgeom {

// 0 the one for every processor of its kind, 1 that for AVX2 with multiply-adds as well, 2 that for AVX-512 as well.
// The processor is asked itself: what compilers have for it, __builtin_cpu_supports, says no to everything in zig's.
inline int instructions() {
#if defined(__x86_64__) || defined(_M_X64)
    const auto has = [](unsigned word, unsigned bits) { return (word & bits) == bits; };
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, bit_FMA | bit_OSXSAVE | bit_AVX)) return 0;
    unsigned saved, high;  // the registers that the system saves when it changes threads
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if (!has(saved, 0x06) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, bit_AVX2)) return 0;
    return 1 + (has(saved, 0xe6) && has(b, bit_AVX512F | bit_AVX512DQ | bit_AVX512VL));
#else
    return 0;
#endif
}

}  // namespace jaxgeom
