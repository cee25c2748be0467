// What all kernels share. One thread makes one result (or one part of a sum); no thread waits for another, so the same
// source runs on a host, thread after thread (see ../host.rs).
#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
typedef __half f16;
typedef __nv_bfloat16 bf16;
#define EXPORT extern "C" __global__
#define DEVICE_FN __device__ __forceinline__
#else
#include <cmath>
#include <cstring>
typedef _Float16 f16;
#define EXPORT extern "C"
#define DEVICE_FN static inline
struct Position {
    unsigned x;
};
static thread_local Position blockIdx, threadIdx, blockDim;
static inline void atomicAdd(float *sum, float value) { *sum += value; }
#endif

// As `Params` in ../plan.rs.
struct Params {
    // Threads that have something to do.
    long long n;
    int i[24];
    float f[96];
};

DEVICE_FN long long thread_number() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

// Numbers are stored as T and computed with as float.
template <typename T> DEVICE_FN float load(const T *values, long long i) { return (float)values[i]; }
template <typename T> DEVICE_FN void store(T *values, long long i, float value) { values[i] = (T)value; }

// Arithmetic that is rounded step by step: compilers would join products and sums.
#ifdef __CUDACC__
DEVICE_FN float times(float a, float b) { return __fmul_rn(a, b); }
DEVICE_FN float plus(float a, float b) { return __fadd_rn(a, b); }
DEVICE_FN float over(float a, float b) { return __fdiv_rn(a, b); }
DEVICE_FN float root(float a) { return __fsqrt_rn(a); }
DEVICE_FN unsigned to_bits(float a) { return __float_as_uint(a); }
DEVICE_FN float of_bits(unsigned a) { return __uint_as_float(a); }
#else
DEVICE_FN float times(float a, float b) { return a * b; }
DEVICE_FN float plus(float a, float b) { return a + b; }
DEVICE_FN float over(float a, float b) { return a / b; }
DEVICE_FN float root(float a) { return sqrtf(a); }
DEVICE_FN unsigned to_bits(float a) {
    unsigned bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
DEVICE_FN float of_bits(unsigned a) {
    float value;
    memcpy(&value, &a, sizeof value);
    return value;
}
#endif

// Every kernel takes up to three inputs and one result; null where it has fewer.
#define ARGUMENTS const void *a, const void *b, const void *c, void *y, const Params p
#define ENTRY(name, suffix, T)                                                                                         \
    EXPORT void name##_##suffix(ARGUMENTS) {                                                                           \
        const long long at = thread_number();                                                                          \
        if (at < p.n) name<T>(at, (const T *)a, (const T *)b, (const T *)c, y, p);                                     \
    }
#ifdef __CUDACC__
#define ENTRIES(name) ENTRY(name, f32, float) ENTRY(name, f16, f16) ENTRY(name, bf16, bf16)
#else
#define ENTRIES(name) ENTRY(name, f32, float) ENTRY(name, f16, f16)
#endif
#define KERNEL(name)                                                                                                   \
    template <typename T>                                                                                              \
    DEVICE_FN void name(long long at, const T *a, const T *b, const T *c, void *y, const Params &p)
