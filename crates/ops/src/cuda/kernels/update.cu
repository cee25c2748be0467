// What an optimizer and a moving average do to weights, in place; f32 only.
#include "common.cuh"

// y = a
KERNEL(update_set) { ((T *)y)[at] = a[at]; }
ENTRY(update_set, f32, float)

// The moving average that starts from the nearer end, as torch's lerp; f: share of the old one
KERNEL(update_average) {
    const float old = ((T *)y)[at], fresh = a[at], beta = p.f[0];
    ((T *)y)[at] = beta < 0.5f ? fresh + beta * (old - fresh) : old - (old - fresh) * (1.0f - beta);
}
ENTRY(update_average, f32, float)

// A gradient that is no number counts as 0, an infinite one as 1e5 with its sign.
ON_CARD float sane(float g) {
    if (g != g) return 0.0f;
    return fabsf(g) > 3.402823466e38f ? copysignf(1e5f, g) : g;
}

// The mean of gradients; f: beta, 1 - beta
KERNEL(update_mean) { ((T *)y)[at] = ((T *)y)[at] * p.f[0] + sane(a[at]) * p.f[1]; }
ENTRY(update_mean, f32, float)

// The mean of their squares; f: beta, 1 - beta
KERNEL(update_square) {
    const float g = sane(a[at]);
    ((T *)y)[at] = ((T *)y)[at] * p.f[0] + g * g * p.f[1];
}
ENTRY(update_square, f32, float)

// The step of Adam: (mean, mean of squares); f: step size, root of the correction, epsilon
KERNEL(update_adam) {
    ((T *)y)[at] -= p.f[0] * (sane(a[at]) / (sqrtf(b[at]) / p.f[1] + p.f[2]));
}
ENTRY(update_adam, f32, float)
