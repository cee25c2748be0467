// Standard normal numbers by position, to the bit those of ../../cpu/normal.rs: the same steps, each rounded alone.
#include "common.cuh"

// Ten rounds of Philox4x32 (Salmon et al. 2011).
DEVICE_FN void philox(unsigned c[4], unsigned key0, unsigned key1) {
    for (int round = 0; round < 10; round++) {
        const unsigned long long a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
        c[0] = (unsigned)(b >> 32) ^ c[1] ^ key0;
        c[2] = (unsigned)(a >> 32) ^ c[3] ^ key1;
        c[1] = (unsigned)b;
        c[3] = (unsigned)a;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// sqrt(-2 ln u) for u = (word + 1/2) / 2^32
DEVICE_FN float radius(unsigned word) {
    const float u = plus(times((float)word, 0x1p-32f), 0x1p-33f);
    // u = m 2^e with m around 1, from the root of 1/2 to the root of 2.
    const unsigned bits = to_bits(u);
    const int e = (int)(bits - 0x3F3504F3u) >> 23;
    const float m = of_bits(bits - ((unsigned)e << 23));
    const float s = over(plus(m, -1.0f), plus(m, 1.0f)), z = times(s, s);
    float series = plus(times(z, 2.0f / 9.0f), 2.0f / 7.0f);
    series = plus(times(z, series), 2.0f / 5.0f);
    series = plus(times(z, series), 2.0f / 3.0f);
    series = plus(times(z, series), 2.0f);
    const float ln = plus(times((float)e, 0.693147180559945309f), times(s, series));
    return root(times(-2.0f, ln));
}

// Cosine and sine of word / 2^32 turns.
DEVICE_FN void circle(unsigned word, float &cosine, float &sine) {
    const unsigned quarter = (word + (1u << 29)) >> 30;
    const float x = times((float)(int)(word - (quarter << 30)), 6.28318530717958648f / 4294967296.0f);
    const float z = times(x, x);
    float s = plus(times(z, 1.0f / 362880.0f), -1.0f / 5040.0f);
    s = plus(times(z, s), 1.0f / 120.0f);
    s = plus(times(z, s), -1.0f / 6.0f);
    s = times(x, plus(times(z, s), 1.0f));
    float c = plus(times(z, -1.0f / 3628800.0f), 1.0f / 40320.0f);
    c = plus(times(z, c), -1.0f / 720.0f);
    c = plus(times(z, c), 1.0f / 24.0f);
    c = plus(times(z, c), -0.5f);
    c = plus(times(z, c), 1.0f);
    const bool swapped = quarter & 1;
    cosine = of_bits(to_bits(swapped ? s : c) ^ (((quarter + 1) >> 1) << 31));
    sine = of_bits(to_bits(swapped ? c : s) ^ (quarter >> 1 << 31));
}

struct alignas(16) Four {
    float numbers[4];
};

// (keys: low and high halves) -> numbers; one thread for each counter; i: counters and numbers of an image, stream, keys
KERNEL(normal) {
    const int counters = p.i[0], len = p.i[1], count = p.i[3];
    const long long image = at / counters;
    const unsigned first = (unsigned)(at % counters);
    const unsigned *key = (const unsigned *)(const void *)a + image % count * 2;
    unsigned words[4] = {first, (unsigned)p.i[2], (unsigned)(image / count), 0};
    philox(words, key[0], key[1]);
    Four made;
    for (int pair = 0; pair < 2; pair++) {
        float cosine, sine;
        const float far = radius(words[2 * pair]);
        circle(words[2 * pair + 1], cosine, sine);
        made.numbers[2 * pair] = times(far, cosine);
        made.numbers[2 * pair + 1] = times(far, sine);
    }
    float *to = (float *)y + image * len + 4ll * first;
    if (len % 4 == 0) {
        *(Four *)to = made;
        return;
    }
    for (int k = 0; k < 4 && 4ll * first + k < len; k++) to[k] = made.numbers[k];
}
ENTRY(normal, f32, float)
