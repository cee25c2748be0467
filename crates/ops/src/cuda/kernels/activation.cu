// Bias, activation, gain and clamp, and the two derivatives.
#include "common.cuh"

// Activations in the order of `Activation` in ../../bias_act.rs.
enum { LINEAR, RELU, LRELU, TANH, SIGMOID, ELU, SELU, SOFTPLUS, SWISH };

struct Curve {
    float value, first, second;
};

DEVICE_FN float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

DEVICE_FN Curve curve(int activation, float alpha, float x) {
    const float selu_scale = 1.0507009873554805f, selu_below = 1.0507009873554805f * 1.6732632423543772f;
    switch (activation) {
    case RELU:
        return {x > 0.0f ? x : 0.0f, x > 0.0f ? 1.0f : 0.0f, 0.0f};
    case LRELU:
        return {x > 0.0f ? x : x * alpha, x > 0.0f ? 1.0f : alpha, 0.0f};
    case TANH: {
        const float t = tanhf(x), slope = 1.0f - t * t;
        return {t, slope, -2.0f * t * slope};
    }
    case SIGMOID: {
        const float s = sigmoid(x), slope = s * (1.0f - s);
        return {s, slope, slope * (1.0f - 2.0f * s)};
    }
    case ELU:
        if (x > 0.0f) return {x, 1.0f, 0.0f};
        return {expm1f(x), expf(x), expf(x)};
    case SELU:
        if (x > 0.0f) return {selu_scale * x, selu_scale, 0.0f};
        return {selu_below * expm1f(x), selu_below * expf(x), selu_below * expf(x)};
    case SOFTPLUS: {
        const float s = sigmoid(x);
        return {x > 20.0f ? x : log1pf(expf(x)), s, s * (1.0f - s)};
    }
    case SWISH: {
        const float s = sigmoid(x), slope = s * (1.0f - s);
        return {x * s, s + x * slope, 2.0f * slope + x * slope * (1.0f - 2.0f * s)};
    }
    default:
        return {x, 1.0f, 0.0f};
    }
}

// i: channels inner activation order; f: alpha gain clamp
DEVICE_FN int channel_of(long long at, const Params &p) { return (int)(at / p.i[1] % p.i[0]); }

// (x, b) -> f(x + b)
KERNEL(bias_act) {
    const float gain = p.f[1], clamp = p.f[2];
    const float x = load(a, at) + load(b, channel_of(at, p));
    float value = curve(p.i[2], p.f[0], x).value * gain;
    // A NaN stays one.
    value = value > clamp ? clamp : (value < -clamp ? -clamp : value);
    store((T *)y, at, value);
}
ENTRIES(bias_act)

// (g, x, b) -> g * f'(x + b), or g * f''(x + b) for order 2; zero where the clamp holds
KERNEL(bias_act_gradient) {
    const float gain = p.f[1], clamp = p.f[2];
    const float x = load(b, at) + load(c, channel_of(at, p));
    const Curve there = curve(p.i[2], p.f[0], x);
    const float value = there.value * gain;
    const bool clamped = value > clamp || value < -clamp;
    const float slope = gain * (p.i[3] == 1 ? there.first : there.second);
    store((T *)y, at, clamped ? 0.0f : load(a, at) * slope);
}
ENTRIES(bias_act_gradient)
