// Products and sums over [row][inner] arrays.
//
// A long sum is made in two launches: `parts` threads of each row add every `parts`-th value into floats, then
// `sum_parts` adds those in order. The result does not depend on the schedule.
#include "common.cuh"

// (a, b) -> a + b
KERNEL(add) { store((T *)y, at, load(a, at) + load(b, at)); }
ENTRIES(add)

// (x, scales) -> x[row] * scales[row]; i: inner
KERNEL(scale_channels) { store((T *)y, at, load(a, at) * load(b, at / p.i[0])); }
ENTRIES(scale_channels)

// (x, noise) -> x + noise plane of its image, or the one plane; i: channels inner images-of-noise
KERNEL(add_noise) {
    const long long image = p.i[2] == 1 ? 0 : at / p.i[1] / p.i[0];
    store((T *)y, at, load(a, at) + load(b, image * p.i[1] + at % p.i[1]));
}
ENTRIES(add_noise)

// [n, c, m] -> [n, m]; i: channels inner
KERNEL(sum_channels) {
    const int inner = p.i[1];
    const T *first = a + at / inner * p.i[0] * inner + at % inner;
    float sum = 0.0f;
    for (int channel = 0; channel < p.i[0]; channel++) sum += load(first, (long long)channel * inner);
    store((T *)y, at, sum);
}
ENTRIES(sum_channels)

// Parts of <a[row], b[row]>; i: inner parts
KERNEL(channel_dot) {
    const int inner = p.i[0], parts = p.i[1];
    const long long start = at / parts * inner;
    float sum = 0.0f;
    for (int k = (int)(at % parts); k < inner; k += parts) sum += load(a, start + k) * load(b, start + k);
    ((float *)y)[at] = sum;
}
ENTRIES(channel_dot)

// Parts of the sums over n and m of [n, c, m]; i: batch channels inner parts
KERNEL(channel_sum) {
    const int channels = p.i[1], inner = p.i[2], parts = p.i[3];
    const long long channel = at / parts, count = (long long)p.i[0] * inner;
    float sum = 0.0f;
    for (long long k = at % parts; k < count; k += parts)
        sum += load(a, (k / inner * channels + channel) * inner + k % inner);
    ((float *)y)[at] = sum;
}
ENTRIES(channel_sum)

// Sums of `parts` floats each; i: parts
KERNEL(sum_parts) {
    const float *from = (const float *)(const void *)a + at * p.i[0];
    float sum = 0.0f;
    for (int k = 0; k < p.i[0]; k++) sum += from[k];
    store((T *)y, at, sum);
}
ENTRIES(sum_parts)
