// Which of the libraries that are compiled for sets of instructions this processor runs.
#pragma once

namespace jaxgeom {

// 0 the one for every processor of its kind, 1 that for AVX2 with multiply-adds as well, 2 that for AVX-512 as well.
inline int instructions() {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return 1 + (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
#else
    return 0;
#endif
}

}  // namespace jaxgeom
