"""PyTorch side of `cargo xtask bench`: the same work on the same shapes, one case a line on stdin.

Called with the number of threads and the device. On a card the four largest resolutions compute in f16, cuDNN tries its
algorithms and TF32 is off, as StyleGAN2-ADA trains.

Reads `<case> <seconds>` lines, runs the case again and again for that long, and answers with one JSON line:
{"case": ..., "ms": median milliseconds a call, "peak_mb": peak memory above the start of the case}.
Plain PyTorch, written for this comparison: the operations that a StyleGAN2 in PyTorch does on a CPU.
"""

import json
import math
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(int(sys.argv[1]))
DEVICE = torch.device(sys.argv[2] if len(sys.argv) > 2 else "cpu")
torch.set_default_device(DEVICE)
IS_CARD = DEVICE.type == "cuda"
torch.backends.cudnn.benchmark = True
torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False


# ---------------------------------------------------------------------------------------------- operations


def make_filter():
    f = torch.tensor([1.0, 3.0, 3.0, 1.0])
    f = torch.outer(f, f)
    return f / f.sum()


def upfirdn2d(x, f, up=1, down=1, pad=(0, 0, 0, 0), gain=1.0):
    n, c, h, w = x.shape
    if up > 1:
        x = x.reshape(n, c, h, 1, w, 1)
        x = F.pad(x, [0, up - 1, 0, 0, 0, up - 1])
        x = x.reshape(n, c, h * up, w * up)
    x = F.pad(x, [max(p, 0) for p in pad])
    x = x[:, :, max(-pad[2], 0) : x.shape[2] - max(-pad[3], 0), max(-pad[0], 0) : x.shape[3] - max(-pad[1], 0)]
    k = (f * gain).to(x.dtype).flip([0, 1])[None, None].repeat(c, 1, 1, 1)
    x = F.conv2d(x, k, groups=c)
    return x[:, :, ::down, ::down]


def bias_act(x, b, act="lrelu", clamp=256.0):
    if b is not None:
        x = x + b.to(x.dtype).reshape([1, -1] + [1] * (x.ndim - 2))
    gain = 1.0
    if act == "lrelu":
        x = F.leaky_relu(x, 0.2)
        gain = math.sqrt(2)
        x = x * gain
    return x.clamp(-clamp * gain, clamp * gain) if clamp else x


def conv_resample(x, w, f, up=1, down=1, padding=0):
    if w.shape[-1] == 1 and down > 1:
        x = upfirdn2d(x, f, down=down, pad=(1, 1, 1, 1))
        return F.conv2d(x, w)
    if w.shape[-1] == 1 and up > 1:
        return upfirdn2d(F.conv2d(x, w), f, up=up, pad=(2, 1, 2, 1), gain=4.0)
    if down > 1:
        return F.conv2d(upfirdn2d(x, f, pad=(2, 2, 2, 2)), w, stride=down)
    if up > 1:
        x = F.conv_transpose2d(x, w.transpose(0, 1), stride=up)
        return upfirdn2d(x, f, pad=(1, 1, 1, 1), gain=4.0)
    return F.conv2d(x, w, padding=padding)


def modulated_conv(x, w, styles, f=None, up=1, padding=1, demodulate=True, fused=False, noise=None):
    n, ci, h, wd = x.shape
    co, _, kh, kw = w.shape
    dcoefs = None
    if x.dtype == torch.float16 and demodulate:
        # Demodulation divides these factors out again; without them f16 overflows.
        w = w * (1 / math.sqrt(ci * kh * kw) / w.norm(float("inf"), dim=[1, 2, 3], keepdim=True))
        styles = styles / styles.norm(float("inf"), dim=1, keepdim=True)
    if demodulate or fused:
        scaled = w[None] * styles.reshape(n, 1, ci, 1, 1)
    if demodulate:
        dcoefs = (scaled.square().sum([2, 3, 4]) + 1e-8).rsqrt()
    if not fused:
        x = conv_resample(x * styles.to(x.dtype).reshape(n, ci, 1, 1), w.to(x.dtype), f, up=up, padding=padding)
        if demodulate:
            x = x * dcoefs.to(x.dtype).reshape(n, co, 1, 1)
        return x if noise is None else x + noise.to(x.dtype)
    if demodulate:
        scaled = scaled * dcoefs.reshape(n, co, 1, 1, 1)
    x = x.reshape(1, n * ci, h, wd)
    if up == 1:
        x = F.conv2d(x, scaled.reshape(n * co, ci, kh, kw), padding=padding, groups=n)
    else:
        k = scaled.transpose(1, 2).reshape(n * ci, co, kh, kw)
        x = F.conv_transpose2d(x, k, stride=up, groups=n)
        x = upfirdn2d(x, f, pad=(1, 1, 1, 1), gain=4.0)
    x = x.reshape(n, co, *x.shape[2:])
    return x if noise is None else x + noise


# ---------------------------------------------------------------------------------------------- networks


def channels(res, base, most):
    return min(base // res, most)


def dtype_at(r, res):
    """Of the block of side r in a network for side res."""
    return torch.float16 if IS_CARD and r >= max(res // 8, 8) else torch.float32


class Discriminator(torch.nn.Module):
    """Residual discriminator with minibatch standard deviation, unconditional."""

    def __init__(self, res, base, most, group=4):
        super().__init__()
        self.f, self.group, self.res = make_filter(), group, res
        self.blocks = [2**i for i in range(int(math.log2(res)), 2, -1)]
        p = {}
        p["rgb.w"], p["rgb.b"] = (channels(res, base, most), 3, 1, 1), (channels(res, base, most),)
        for r in self.blocks:
            a, b = channels(r, base, most), channels(r // 2, base, most)
            p[f"{r}.w0"], p[f"{r}.b0"] = (a, a, 3, 3), (a,)
            p[f"{r}.w1"], p[f"{r}.b1"] = (b, a, 3, 3), (b,)
            p[f"{r}.skip"] = (b, a, 1, 1)
        c = channels(4, base, most)
        p["4.w"], p["4.b"] = (c, c + 1, 3, 3), (c,)
        p["fc.w"], p["fc.b"] = (c, c * 16), (c,)
        p["out.w"], p["out.b"] = (1, c), (1,)
        self.p = {k: torch.nn.Parameter(torch.randn(s) if ".b" not in k else torch.zeros(s)) for k, s in p.items()}
        self.params = list(self.p.values())

    def w(self, name, dtype=torch.float32):
        w = self.p[name]
        return (w * (1 / math.sqrt(w[0].numel()))).to(dtype)

    def forward(self, img):
        p, f = self.p, self.f
        t = dtype_at(self.res, self.res)
        x = bias_act(F.conv2d(img.to(t), self.w("rgb.w", t)), p["rgb.b"])
        for r in self.blocks:
            t = dtype_at(r, self.res)
            x = x.to(t)
            y = conv_resample(x, self.w(f"{r}.skip", t), f, down=2) * math.sqrt(0.5)
            x = bias_act(F.conv2d(x, self.w(f"{r}.w0", t), padding=1), p[f"{r}.b0"])
            x = bias_act(conv_resample(x, self.w(f"{r}.w1", t), f, down=2), p[f"{r}.b1"]) * math.sqrt(0.5)
            x = y + x
        x = x.float()
        n, c, h, w = x.shape
        g = min(self.group, n)
        s = x.reshape(g, -1, 1, c, h, w)
        s = (s - s.mean(0)).square().mean(0)
        s = (s + 1e-8).sqrt().mean([2, 3, 4]).reshape(-1, 1, 1, 1).repeat(g, 1, h, w)
        x = bias_act(F.conv2d(torch.cat([x, s], 1), self.w("4.w"), padding=1), p["4.b"])
        x = bias_act(F.linear(x.flatten(1), self.w("fc.w")), p["fc.b"], clamp=None)
        return F.linear(x, self.w("out.w"), p["out.b"])


class Generator(torch.nn.Module):
    """Skip generator with noise and a mapping network, unconditional."""

    def __init__(self, res, base, most, layers=2, dim=512):
        super().__init__()
        self.f, self.res, self.dim, self.layers = make_filter(), res, dim, layers
        self.blocks = [2**i for i in range(2, int(math.log2(res)) + 1)]
        p = {f"map{i}.w": (dim, dim) for i in range(layers)} | {f"map{i}.b": (dim,) for i in range(layers)}
        p["const"] = (channels(4, base, most), 4, 4)
        for r in self.blocks:
            b = channels(r, base, most)
            a = channels(r // 2, base, most)
            convs = [("1", b, b)] if r == 4 else [("0", a, b), ("1", b, b)]
            for name, i, o in convs:
                p[f"{r}.{name}.w"], p[f"{r}.{name}.b"], p[f"{r}.{name}.n"] = (o, i, 3, 3), (o,), ()
                p[f"{r}.{name}.aw"], p[f"{r}.{name}.ab"] = (i, dim), (i,)
            p[f"{r}.rgb.w"], p[f"{r}.rgb.b"] = (3, b, 1, 1), (3,)
            p[f"{r}.rgb.aw"], p[f"{r}.rgb.ab"] = (b, dim), (b,)
        ones = lambda k: k.endswith(".ab")
        self.p = {k: torch.nn.Parameter(torch.ones(s) if ones(k) else torch.randn(s)) for k, s in p.items()}
        self.params = list(self.p.values())

    def style(self, w, name):
        p = self.p
        return F.linear(w, p[name + ".aw"] * (1 / math.sqrt(self.dim)), p[name + ".ab"])

    def layer(self, x, w, name, up, fused):
        p = self.p
        res = x.shape[-1] * up
        noise = torch.randn(x.shape[0], 1, res, res) * p[name + ".n"]
        x = modulated_conv(x, p[name + ".w"], self.style(w, name), self.f, up=up, fused=fused, noise=noise)
        return bias_act(x, p[name + ".b"])

    def mapping(self, z):
        p = self.p
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for i in range(self.layers):
            w = bias_act(F.linear(w, p[f"map{i}.w"] * (1 / math.sqrt(self.dim))), p[f"map{i}.b"], clamp=None)
        return w[:, None].repeat(1, 2 * len(self.blocks), 1)

    def forward(self, z, fused=False):
        return self.synthesis(self.mapping(z), fused)

    def synthesis(self, ws, fused=False):
        p = self.p
        x = p["const"][None].repeat(ws.shape[0], 1, 1, 1)
        img, i = None, 0
        for r in self.blocks:
            x = x.to(dtype_at(r, self.res))
            if r > 4:
                x = self.layer(x, ws[:, i], f"{r}.0", 2, fused)
                i += 1
            x = self.layer(x, ws[:, i], f"{r}.1", 1, fused)
            i += 1
            s = self.style(ws[:, i], f"{r}.rgb") * (1 / math.sqrt(x.shape[1]))
            y = bias_act(modulated_conv(x, p[f"{r}.rgb.w"], s, padding=0, demodulate=False, fused=fused), p[f"{r}.rgb.b"], "linear").float()
            img = y if img is None else upfirdn2d(img, self.f, up=2, pad=(2, 1, 2, 1), gain=4.0) + y
        return img


# ---------------------------------------------------------------------------------------------- cases


def conv_case(kind, n, c, h):
    x, w, y = torch.randn(n, c, h, h), torch.randn(c, c, 3, 3), torch.randn(n, c, h, h)
    if kind == "forward":
        return lambda: F.conv2d(x, w, padding=1)
    mask = [kind == "input", kind == "weight", False]
    back = torch.ops.aten.convolution_backward
    return lambda: back(y, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask)


def forward_backward(f, x):
    x = x.requires_grad_()
    y = f(x)
    dy = torch.randn_like(y)

    def run():
        x.grad = None
        f(x).backward(dy)

    return run


def upfirdn_case(kind, n, c, h, direction):
    f = make_filter()
    args = {
        "blur": dict(pad=(2, 2, 2, 2)),
        "down": dict(down=2, pad=(1, 1, 1, 1)),
        "up": dict(up=2, pad=(2, 1, 2, 1), gain=4.0),
    }[kind]
    x = torch.randn(n, c, h, h)
    run = lambda x: upfirdn2d(x, f, **args)
    return (lambda: run(x)) if direction == "forward" else forward_backward(run, x)


def modulated_case(n, c, h, how):
    x, w, s = torch.randn(n, c, h, h), torch.randn(c, c, 3, 3), torch.randn(n, c)
    if how == "forward":
        # The faster of the two formulations on this machine is the peer.
        return lambda fused: modulated_conv(x, w, s, fused=fused)
    x.requires_grad_(), w.requires_grad_(), s.requires_grad_()
    dy = torch.randn(n, c, h, h)

    def run(fused):
        x.grad = w.grad = s.grad = None
        modulated_conv(x, w, s, fused=fused).backward(dy)

    return run


def clear(net):
    for p in net.params:
        p.grad = None


def step_case(kind, res, base, most, batch):
    d = Discriminator(res, base, most)
    real, fake = torch.randn(batch, 3, res, res), torch.randn(batch, 3, res, res)
    if kind == "d_step":

        def run():
            clear(d)
            F.softplus(d(fake)).mean().backward()
            F.softplus(-d(real)).mean().backward()

        return run
    if kind == "r1_step":

        def run():
            clear(d)
            x = real.detach().requires_grad_()
            (g,) = torch.autograd.grad(d(x).sum(), [x], create_graph=True)
            (g.square().sum([1, 2, 3]).mean() * 0.5).backward()

        return run
    g = Generator(res, base, most)
    for p in d.params:
        p.requires_grad_(False)
    z = torch.randn(batch, 512)

    def run():
        clear(g)
        F.softplus(-d(g(z))).mean().backward()

    return run


def cycle_case(res, base, most, batch, batch_gpu=None, layers=2):
    """16 iterations of training: every phase at its interval, two Adams, the moving average."""
    batch_gpu = batch_gpu or batch
    group = 4 if batch_gpu == batch else batch_gpu
    g, d = Generator(res, base, most, layers), Discriminator(res, base, most, group)
    average = [p.detach().clone() for p in g.params]
    adam = lambda net, k: torch.optim.Adam(net.params, lr=0.0025 * k / (k + 1), betas=(0.0, 0.99 ** (k / (k + 1))), eps=1e-8)
    g_adam, d_adam = adam(g, 4), adam(d, 16)
    mean_length = torch.zeros([])

    def styles(z):
        ws = g.mapping(z)
        n = ws.shape[1]
        # Drawn on the processor, which then waits for no card.
        cutoff = int(torch.randint(1, n, [], device="cpu")) if torch.rand([], device="cpu") < 0.9 else n
        other = g.mapping(torch.randn_like(z))
        return torch.cat([ws[:, :cutoff], other[:, cutoff:]], 1)

    def train(net, on):
        for p in net.params:
            p.requires_grad_(on)

    def step(net, optimizer):
        for p in net.params:
            if p.grad is not None:
                torch.nan_to_num(p.grad, nan=0, posinf=1e5, neginf=-1e5, out=p.grad)
        optimizer.step()

    def main_of_g():
        F.softplus(-d(g.synthesis(styles(torch.randn(batch_gpu, 512))))).mean().backward()

    def path_length():
        nonlocal mean_length
        ws = styles(torch.randn(batch_gpu // 2, 512))
        img = g.synthesis(ws)
        y = torch.randn_like(img) / res
        (slope,) = torch.autograd.grad((img * y).sum(), [ws], create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        mean = mean_length.lerp(lengths.mean(), 0.01)
        mean_length = mean.detach()
        ((lengths - mean).square() * 2).mean().mul(4).backward()

    def main_of_d(real):
        F.softplus(d(g.synthesis(styles(torch.randn(batch_gpu, 512))).detach())).mean().backward()
        F.softplus(-d(real)).mean().backward()

    def r1(real):
        x = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(d(x).sum(), [x], create_graph=True)
        (slope.square().sum([1, 2, 3]) * 0.05).mean().mul(16).backward()

    def run():
        for i in range(16):
            reals = torch.randn(batch, 3, res, res).split(batch_gpu)
            train(g, True), train(d, False), clear(g)
            for _ in reals:
                main_of_g()
            step(g, g_adam)
            if i % 4 == 0:
                clear(g)
                for _ in reals:
                    path_length()
                step(g, g_adam)
            train(g, False), train(d, True), clear(d)
            for real in reals:
                main_of_d(real)
            step(d, d_adam)
            if i % 16 == 0:
                clear(d)
                for real in reals:
                    r1(real)
                step(d, d_adam)
            with torch.no_grad():
                for a, p in zip(average, g.params):
                    a.copy_(p.lerp(a, 0.998))

    return run


def generate_case(res, base, most, layers, batch):
    g = Generator(res, base, most, layers)
    z = torch.randn(batch, 512)

    @torch.no_grad()
    def run(fused):
        return g(z, fused=fused)

    return run


def make(case):
    kind, *args = case.split(":")
    numbers = [int(a) for a in args if a.isdigit()]
    if kind == "conv":
        return conv_case(args[0], *numbers)
    if kind == "upfirdn":
        return upfirdn_case(args[0], *numbers, args[-1])
    if kind == "modulated":
        return modulated_case(*numbers, args[-1])
    if kind == "cycle":
        return cycle_case(*numbers)
    if kind == "generate":
        return generate_case(*numbers)
    return step_case(kind, *numbers)


def peak_mb():
    if IS_CARD:
        return torch.cuda.max_memory_reserved() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(work, seconds):
    def run():
        work()
        if IS_CARD:
            torch.cuda.synchronize()

    run()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        t = time.perf_counter()
        run()
        times.append((time.perf_counter() - t) * 1e3)
    return statistics.median(times)


def main():
    made = {}
    for line in sys.stdin:
        case, seconds = line.split()
        before = peak_mb()
        if case not in made:
            made = {case: make(case)}
        run = made[case]
        if case.startswith(("modulated", "generate")):
            ms = min(measure(lambda: run(False), float(seconds)), measure(lambda: run(True), float(seconds)))
        else:
            ms = measure(run, float(seconds))
        print(json.dumps({"case": case, "ms": ms, "peak_mb": peak_mb() - before}), flush=True)


main()
