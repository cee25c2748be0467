//! The driver API: devices, memory, streams, events, modules and kernel launches.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use crate::codes::{
    ILLEGAL_ADDRESS, INVALID_DEVICE, INVALID_HANDLE, INVALID_PTX, INVALID_VALUE, LAUNCH_FAILED,
    MISALIGNED_ADDRESS, NOT_FOUND, NOT_SUPPORTED, OUT_OF_MEMORY, SUCCESS, put,
};
use crate::event::{Event, on_event};
use crate::ptx::Module;
use crate::ptx::run::{Cause, Grid};
use crate::{NAME, complain, counts, memory};

/// The handle of all streams, pools and contexts; they have no state.
const HANDLE: usize = 0x6B61_6F67_616E;

/// The default limit of shared memory of a block, in bytes.
const SHARED: usize = 48 << 10;

/// A kernel of a module; its address is the handle that callers hold.
struct Function {
    module: Arc<Module>,
    kernel: usize,
}

/// A loaded module with its functions, which are freed with it.
struct Loaded {
    module: Arc<Module>,
    functions: Vec<*mut Function>,
}

fn failed(code: u32, what: &str) -> u32 {
    complain(what);
    code
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> u32 {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        complain("the CPU computes in place of a GPU; its speed is not that of a GPU")
    });
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDriverGetVersion(version: *mut c_int) -> u32 {
    put(version, 13_000)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetCount(count: *mut c_int) -> u32 {
    put(count, 1)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> u32 {
    match ordinal {
        0 => put(device, 0),
        _ => INVALID_DEVICE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetName(name: *mut c_char, len: c_int, _device: c_int) -> u32 {
    let bytes = NAME.bytes().take((len - 1).max(0) as usize).chain([0]);
    for (i, byte) in bytes.enumerate() {
        // SAFETY: the caller has `len` bytes.
        unsafe { name.add(i).write(byte as c_char) };
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) -> u32 {
    put(bytes, memory::TOTAL)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: u32, _device: c_int) -> u32 {
    // The numbers are those of CUdevice_attribute in the driver's documentation.
    let known = match attribute {
        // The most threads of a block, in total and along x, y, z.
        1..=3 => 1024,
        4 => 64,
        // The most blocks along x, y, z.
        5 => c_int::MAX,
        6 | 7 => 65_535,
        8 => SHARED as c_int,
        // Threads per warp, and multiprocessors.
        10 => 32,
        16 => 1,
        // Compute capability 8.0 (Ampere).
        75 => 8,
        76 => 0,
        // Memory pools are supported.
        115 => 1,
        _ => {
            return failed(
                INVALID_VALUE,
                &format!("the attribute {attribute} is not known"),
            );
        }
    };
    put(value, known)
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRetain(context: *mut usize, _device: c_int) -> u32 {
    put(context, HANDLE)
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(_device: c_int) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetCurrent(context: *mut usize) -> u32 {
    put(context, HANDLE)
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(_context: usize) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> u32 {
    counts::host_waits();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorName(code: u32, name: *mut *const c_char) -> u32 {
    let text: &'static CStr = match code {
        SUCCESS => c"CUDA_SUCCESS",
        INVALID_VALUE => c"CUDA_ERROR_INVALID_VALUE",
        OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
        INVALID_DEVICE => c"CUDA_ERROR_INVALID_DEVICE",
        INVALID_PTX => c"CUDA_ERROR_INVALID_PTX",
        INVALID_HANDLE => c"CUDA_ERROR_INVALID_HANDLE",
        NOT_FOUND => c"CUDA_ERROR_NOT_FOUND",
        ILLEGAL_ADDRESS => c"CUDA_ERROR_ILLEGAL_ADDRESS",
        MISALIGNED_ADDRESS => c"CUDA_ERROR_MISALIGNED_ADDRESS",
        LAUNCH_FAILED => c"CUDA_ERROR_LAUNCH_FAILED",
        NOT_SUPPORTED => c"CUDA_ERROR_NOT_SUPPORTED",
        _ => c"an error without a name",
    };
    put(name, text.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(_code: u32, text: *mut *const c_char) -> u32 {
    put(
        text,
        c"the emulated GPU printed the reason on stderr".as_ptr(),
    )
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreate(stream: *mut usize, _flags: c_uint) -> u32 {
    put(stream, HANDLE)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(_stream: usize) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(_stream: usize) -> u32 {
    counts::host_waits();
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(_stream: usize, event: *mut Event, _flags: c_uint) -> u32 {
    // SAFETY: handles are from `cuEventCreate`.
    unsafe { on_event(event, |_| SUCCESS) }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamIsCapturing(_stream: usize, status: *mut c_uint) -> u32 {
    put(status, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetDefaultMemPool(pool: *mut usize, _device: c_int) -> u32 {
    put(pool, HANDLE)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAttribute(pool: usize, attribute: u32, value: *const u64) -> u32 {
    // CU_MEMPOOL_ATTR_RELEASE_THRESHOLD: how much freed memory the pool keeps. This pool keeps none.
    match (pool, attribute) {
        (HANDLE, 4) if !value.is_null() => SUCCESS,
        (HANDLE, _) => failed(
            INVALID_VALUE,
            &format!("the attribute {attribute} of a pool is not known"),
        ),
        _ => INVALID_HANDLE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolGetAttribute(pool: usize, attribute: u32, value: *mut u64) -> u32 {
    // CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH.
    match (pool, attribute) {
        (HANDLE, 6) => put(value, memory::peak() as u64),
        (HANDLE, _) => failed(
            INVALID_VALUE,
            &format!("the attribute {attribute} of a pool cannot be read"),
        ),
        _ => INVALID_HANDLE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> u32 {
    put(free, memory::free()) | put(total, memory::TOTAL)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAlloc_v2(address: *mut u64, size: usize) -> u32 {
    if size == 0 {
        return failed(INVALID_VALUE, "an allocation of no bytes");
    }
    cuMemAllocAsync(address, size, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocAsync(address: *mut u64, size: usize, _stream: usize) -> u32 {
    if size == 0 {
        return put(address, 0);
    }
    match memory::allocate(size) {
        Some(start) => put(address, start),
        None => failed(
            OUT_OF_MEMORY,
            &format!("{size} bytes are more than {} free ones", memory::free()),
        ),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> u32 {
    if address == 0 || memory::release(address) {
        return SUCCESS;
    }
    failed(
        INVALID_VALUE,
        &format!("{address:#x} is freed, and is no allocation"),
    )
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: u64, _stream: usize) -> u32 {
    cuMemFree_v2(address)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemHostAlloc(pointer: *mut *mut c_void, size: usize, _flags: c_uint) -> u32 {
    // This memory is not in the table of allocations, as kernels cannot access it. The size is stored in front of it.
    let words = vec![size as u64; size.div_ceil(8) + 1].into_boxed_slice();
    let first: *mut u64 = Box::into_raw(words).cast();
    // SAFETY: the buffer has one more word than the caller requested.
    let start = unsafe { first.add(1) };
    counts::lock_pages(start as usize, size);
    put(pointer, start.cast())
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(pointer: *mut c_void) -> u32 {
    if pointer.is_null() {
        return INVALID_VALUE;
    }
    counts::unlock_pages(pointer as usize);
    // SAFETY: the pointer is from `cuMemHostAlloc`, which stored the size in front of it.
    unsafe {
        let first = pointer.cast::<u64>().sub(1);
        let len = (first.read() as usize).div_ceil(8) + 1;
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(
            first, len,
        )));
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(address: u64, value: u8, size: usize, _stream: usize) -> u32 {
    match memory::write(address, size) {
        Some(bytes) => {
            bytes.fill(value);
            SUCCESS
        }
        None => failed(
            INVALID_VALUE,
            &format!("a memset of {size} bytes at {address:#x} leaves its allocation"),
        ),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8_v2(address: u64, value: u8, size: usize) -> u32 {
    cuMemsetD8Async(address, value, size, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const c_void,
    size: usize,
    _stream: usize,
) -> u32 {
    match memory::write(to, size) {
        Some(bytes) => {
            counts::upload(from as usize, size);
            // SAFETY: the caller has `size` bytes there.
            unsafe {
                from.cast::<u8>()
                    .copy_to_nonoverlapping(bytes.as_mut_ptr(), size)
            };
            SUCCESS
        }
        None => failed(
            INVALID_VALUE,
            &format!("a copy of {size} bytes to {to:#x} leaves its allocation"),
        ),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, size: usize) -> u32 {
    cuMemcpyHtoDAsync_v2(to, from, size, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, size: usize, _stream: usize) -> u32 {
    match memory::read(from, size) {
        Some(bytes) => {
            counts::download(to as usize);
            // SAFETY: the caller has `size` bytes there.
            unsafe { bytes.as_ptr().copy_to_nonoverlapping(to.cast(), size) };
            SUCCESS
        }
        None => failed(
            INVALID_VALUE,
            &format!("a copy of {size} bytes from {from:#x} leaves its allocation"),
        ),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, size: usize) -> u32 {
    cuMemcpyDtoHAsync_v2(to, from, size, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, size: usize, _stream: usize) -> u32 {
    match (
        memory::read(from, size).is_some(),
        memory::write(to, size).is_some(),
    ) {
        (true, true) => {
            // SAFETY: both ranges are allocated.
            unsafe { std::ptr::copy(from as *const u8, to as *mut u8, size) };
            SUCCESS
        }
        _ => failed(
            INVALID_VALUE,
            &format!("a copy of {size} bytes from {from:#x} to {to:#x} leaves an allocation"),
        ),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, size: usize) -> u32 {
    cuMemcpyDtoDAsync_v2(to, from, size, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleLoadData(module: *mut *mut c_void, image: *const c_char) -> u32 {
    // SAFETY: PTX ends with a zero byte, as the driver asks.
    let text = unsafe { CStr::from_ptr(image) };
    let Ok(text) = text.to_str() else {
        return failed(INVALID_PTX, "a module is no text: only PTX is read");
    };
    match Module::load(text) {
        Ok(loaded) => {
            let loaded = Loaded {
                module: Arc::new(loaded),
                functions: Vec::new(),
            };
            put(module, Box::into_raw(Box::new(loaded)).cast())
        }
        Err(why) => failed(INVALID_PTX, &format!("a module is not understood: {why}")),
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleGetFunction(
    function: *mut *mut c_void,
    module: *mut c_void,
    name: *const c_char,
) -> u32 {
    // SAFETY: the handle is from `cuModuleLoadData`, the name ends with a zero byte.
    let (loaded, name) = unsafe { (module.cast::<Loaded>().as_mut(), CStr::from_ptr(name)) };
    let Some(loaded) = loaded else {
        return INVALID_HANDLE;
    };
    let Some(kernel) = loaded.module.kernel(&name.to_string_lossy()) else {
        return failed(
            NOT_FOUND,
            &format!("no kernel is called {}", name.to_string_lossy()),
        );
    };
    let found = Box::into_raw(Box::new(Function {
        module: loaded.module.clone(),
        kernel,
    }));
    loaded.functions.push(found);
    put(function, found.cast())
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleGetGlobal_v2(
    address: *mut u64,
    size: *mut usize,
    module: *mut c_void,
    name: *const c_char,
) -> u32 {
    // SAFETY: as in `cuModuleGetFunction`.
    let (loaded, name) = unsafe { (module.cast::<Loaded>().as_ref(), CStr::from_ptr(name)) };
    let Some(loaded) = loaded else {
        return INVALID_HANDLE;
    };
    match loaded.module.global(&name.to_string_lossy()) {
        Some((start, len)) => put(address, start) | put(size, len),
        None => NOT_FOUND,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: *mut c_void) -> u32 {
    if module.is_null() {
        return INVALID_HANDLE;
    }
    // SAFETY: the handle is from `cuModuleLoadData`, and this is its last use and that of its functions.
    unsafe {
        let loaded = Box::from_raw(module.cast::<Loaded>());
        for function in &loaded.functions {
            drop(Box::from_raw(*function));
        }
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchKernel(
    function: *mut c_void,
    bx: c_uint,
    by: c_uint,
    bz: c_uint,
    tx: c_uint,
    ty: c_uint,
    tz: c_uint,
    shared: c_uint,
    _stream: usize,
    params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> u32 {
    // SAFETY: the handle is from `cuModuleGetFunction`.
    let Some(function) = (unsafe { function.cast::<Function>().as_ref() }) else {
        return INVALID_HANDLE;
    };
    let kernel = &function.module.functions[function.kernel];
    let grid = Grid {
        blocks: [bx, by, bz],
        threads: [tx, ty, tz],
        shared,
    };
    let threads: u64 = grid.threads.iter().map(|&n| u64::from(n)).product();
    let too_many = threads > 1024 || tz > 64 || bx > c_int::MAX as u32 || by.max(bz) > 65_535;
    let none = grid.blocks.contains(&0) || grid.threads.contains(&0);
    if none || too_many || kernel.shared + shared as usize > SHARED || !extra.is_null() {
        return failed(
            INVALID_VALUE,
            &format!("kernel {}: a launch of {grid:?}", kernel.name),
        );
    }
    let arguments: Vec<Vec<u8>> = kernel
        .params
        .iter()
        .enumerate()
        .map(|(i, &(_, size))| {
            let mut bytes = vec![0; size];
            // SAFETY: callers pass a pointer to each parameter that the kernel declares.
            unsafe {
                params
                    .add(i)
                    .read()
                    .cast::<u8>()
                    .copy_to_nonoverlapping(bytes.as_mut_ptr(), size)
            };
            bytes
        })
        .collect();
    counts::launch();
    match function.module.launch(function.kernel, grid, &arguments) {
        Ok(()) => SUCCESS,
        Err(fault) => {
            let code = match fault.cause {
                Cause::Address => ILLEGAL_ADDRESS,
                Cause::Alignment => MISALIGNED_ADDRESS,
                Cause::Unknown => NOT_SUPPORTED,
                Cause::Failed => LAUNCH_FAILED,
            };
            failed(code, &fault.text)
        }
    }
}
