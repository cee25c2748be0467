// Bilinear sampling with zeros outside, its adjoint for a fixed grid and its derivative by the grid; f32 only.
#include "common.cuh"

// i: n c h w out_h out_w
struct Corners {
    int x0, y0;
    float fx, fy;
};

DEVICE_FN Corners corners(const float *grid, long long point, int h, int w) {
    const float x = ((grid[2 * point] + 1.0f) * w - 1.0f) * 0.5f;
    const float y = ((grid[2 * point + 1] + 1.0f) * h - 1.0f) * 0.5f;
    const float x0 = floorf(x), y0 = floorf(y);
    // Points far outside, infinite ones and those that are no number meet no pixel.
    const bool near = x0 >= -2.0f && x0 <= (float)w && y0 >= -2.0f && y0 <= (float)h;
    if (!near) return {-2, -2, 0.0f, 0.0f};
    return {(int)x0, (int)y0, x - x0, y - y0};
}

DEVICE_FN bool inside(int x, int y, int h, int w) { return x >= 0 && y >= 0 && x < w && y < h; }

// (x, grid) -> y
template <typename T>
DEVICE_FN void grid_sample(long long at, const T *a, const T *b, const T *c, void *y, const Params &p) {
    const int h = p.i[2], w = p.i[3];
    const long long points = (long long)p.i[4] * p.i[5], plane = at / points, image = plane / p.i[1];
    const Corners k = corners(b, image * points + at % points, h, w);
    const T *from = a + plane * h * w;
    float sum = 0.0f;
    for (int corner = 0; corner < 4; corner++) {
        const int right = corner & 1, down = corner >> 1, px = k.x0 + right, py = k.y0 + down;
        const float weight = (right ? k.fx : 1.0f - k.fx) * (down ? k.fy : 1.0f - k.fy);
        if (inside(px, py, h, w)) sum += weight * from[(long long)py * w + px];
    }
    ((T *)y)[at] = sum;
}
ENTRY(grid_sample, f32, float)

// (dy, grid) -> dx, which holds zeros; threads add in any order
template <typename T>
DEVICE_FN void grid_sample_spread(long long at, const T *a, const T *b, const T *c, void *y, const Params &p) {
    const int h = p.i[2], w = p.i[3];
    const long long points = (long long)p.i[4] * p.i[5], plane = at / points, image = plane / p.i[1];
    const Corners k = corners(b, image * points + at % points, h, w);
    T *to = (T *)y + plane * h * w;
    for (int corner = 0; corner < 4; corner++) {
        const int right = corner & 1, down = corner >> 1, px = k.x0 + right, py = k.y0 + down;
        const float weight = (right ? k.fx : 1.0f - k.fx) * (down ? k.fy : 1.0f - k.fy);
        if (inside(px, py, h, w)) atomicAdd(to + (long long)py * w + px, weight * a[at]);
    }
}
ENTRY(grid_sample_spread, f32, float)

// (x, grid, dy) -> dgrid: one thread for each point
template <typename T>
DEVICE_FN void grid_sample_grid(long long at, const T *a, const T *b, const T *c, void *y, const Params &p) {
    const int channels = p.i[1], h = p.i[2], w = p.i[3];
    const long long points = (long long)p.i[4] * p.i[5], image = at / points;
    const Corners k = corners(b, at, h, w);
    float sum_x = 0.0f, sum_y = 0.0f;
    for (int channel = 0; channel < channels; channel++) {
        const long long plane = image * channels + channel;
        const T *from = a + plane * h * w;
        const float dy = c[plane * points + at % points];
        for (int corner = 0; corner < 4; corner++) {
            const int right = corner & 1, down = corner >> 1, px = k.x0 + right, py = k.y0 + down;
            if (!inside(px, py, h, w)) continue;
            const float value = from[(long long)py * w + px] * dy;
            sum_x += (right ? value : -value) * (down ? k.fy : 1.0f - k.fy);
            sum_y += (down ? value : -value) * (right ? k.fx : 1.0f - k.fx);
        }
    }
    ((T *)y)[2 * at] = sum_x * 0.5f * w;
    ((T *)y)[2 * at + 1] = sum_y * 0.5f * h;
}
ENTRY(grid_sample_grid, f32, float)
