// What an optimizer and a moving average do to weights, in place; f32 only, with the roundings of the CPU.
// One launch works on all tensors of a network: `a` is a table of them (../table.rs).
#include "common.cuh"

// Arrays of one length, and the number of chunks in the rows before.
struct Row {
    float *x;
    const float *y;
    float *m, *v;
    long long len, first;
};

// Threads that work on a chunk, and its values.
const int LANES = 256;
const long long CHUNK = 1 << 14;

// Calls `change(row, i)` for the values of a row that a thread is there for; i[0]: rows
template <typename Change> DEVICE_FN void over_rows(long long at, const void *table, const Params &p, Change change) {
    const Row *rows = (const Row *)table;
    const long long chunk = at / LANES;
    // The last row that does not begin behind the chunk.
    int low = 0, high = p.i[0] - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (rows[middle].first <= chunk)
            low = middle;
        else
            high = middle - 1;
    }
    const Row row = rows[low];
    const long long start = (chunk - row.first) * CHUNK;
    const long long end = start + CHUNK < row.len ? start + CHUNK : row.len;
    for (long long i = start + at % LANES; i < end; i += LANES) change(row, i);
}

// x = y
KERNEL(update_copy) {
    over_rows(at, a, p, [](const Row &row, long long i) { row.x[i] = row.y[i]; });
}
ENTRY(update_copy, f32, float)

// The moving average that starts from the nearer end, as torch's lerp; f: share of the old one
KERNEL(update_average) {
    const float beta = p.f[0], rest = 1.0f - beta;
    over_rows(at, a, p, [=](const Row &row, long long i) {
        const float old = row.x[i], fresh = row.y[i], way = old - fresh;
        row.x[i] = beta < 0.5f ? plus(fresh, times(beta, way)) : plus(old, -times(way, rest));
    });
}
ENTRY(update_average, f32, float)

// A gradient that is no number counts as 0, an infinite one as 1e5 with its sign.
DEVICE_FN float sane(float g) {
    if (g != g) return 0.0f;
    return fabsf(g) > 3.402823466e38f ? copysignf(1e5f, g) : g;
}

// A step of Adam: x weights, y gradients (null for zeros), m their means (null: the gradients), v means of squares;
// f: shares of old and new in m, the same in v, step size, root of the correction, epsilon
KERNEL(update_adam) {
    over_rows(at, a, p, [&](const Row &row, long long i) {
        const float g = row.y ? sane(row.y[i]) : 0.0f;
        const float square = plus(times(row.v[i], p.f[2]), times(times(g, g), p.f[3]));
        row.v[i] = square;
        float mean = g;
        if (row.m) {
            mean = plus(times(row.m[i], p.f[0]), times(g, p.f[1]));
            row.m[i] = mean;
        }
        const float step = sane(mean) / plus(sqrtf(square) / p.f[5], p.f[6]);
        row.x[i] = plus(row.x[i], -times(p.f[4], step));
    });
}
ENTRY(update_adam, f32, float)
