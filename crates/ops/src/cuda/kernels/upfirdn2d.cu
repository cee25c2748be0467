// Pad, upsample, filter, downsample: one thread for each pixel of the result.
#include "common.cuh"

// The taps of one axis that meet a pixel and not a stuffed zero: the first one, and the pixel that it meets.
struct Meeting {
    int tap, pixel;
};

DEVICE_FN Meeting first_meeting(int out, int up, int down, int pad) {
    const int start = out * down - pad;
    int tap = start > 0 ? (up - start % up) % up : (-start) % up;
    int pixel = (start + tap) / up;
    if (pixel < 0) {
        tap -= pixel * up;
        pixel = 0;
    }
    return {tap, pixel};
}

// i: w h out_w out_h up_x up_y down_x down_y pad_x pad_y taps_x taps_y separable
// f: taps of x and then of y, or all of them row by row
KERNEL(upfirdn2d) {
    const int w = p.i[0], h = p.i[1], out_w = p.i[2], out_h = p.i[3];
    const int up_x = p.i[4], up_y = p.i[5], taps_x = p.i[10], taps_y = p.i[11];
    const int ox = (int)(at % out_w);
    const long long row = at / out_w;
    const int oy = (int)(row % out_h);
    const T *plane = a + row / out_h * w * h;
    const Meeting mx = first_meeting(ox, up_x, p.i[6], p.i[8]);
    const Meeting my = first_meeting(oy, up_y, p.i[7], p.i[9]);
    float sum = 0.0f;
    for (int ty = my.tap, iy = my.pixel; ty < taps_y && iy < h; ty += up_y, iy++) {
        float part = 0.0f;
        const float *taps = p.i[12] ? p.f : p.f + ty * taps_x;
        for (int tx = mx.tap, ix = mx.pixel; tx < taps_x && ix < w; tx += up_x, ix++)
            part += taps[tx] * load(plane, (long long)iy * w + ix);
        sum += p.i[12] ? p.f[taps_x + ty] * part : part;
    }
    store((T *)y, at, sum);
}
ENTRIES(upfirdn2d)
