// All kernels, as one module.
#include "activation.cu"
#include "channels.cu"
#include "grid_sample.cu"
#include "normal.cu"
#include "transpose.cu"
#include "update.cu"
#include "upfirdn2d.cu"

#ifndef __CUDACC__
typedef void (*Kernel)(ARGUMENTS);
// Runs a kernel on a host: thread after thread, blocks of `threads` until all have run.
extern "C" void launch_on_host(Kernel kernel, ARGUMENTS, unsigned threads) {
    blockDim.x = threads;
    const long long blocks = (p.n + threads - 1) / threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) kernel(a, b, c, y, p);
}
#endif
