//! Runs a kernel: blocks in parallel, and the threads of a block one after the other.
//!
//! A thread runs until it ends or must wait. When all threads of a block wait at a barrier, they continue. When all
//! threads that a shuffle names have reached it, they exchange their values.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use rayon::prelude::*;

use super::Module;
use super::arith::{compute, double, holds, insert, signed, unsigned};
use super::convert;
use super::decode::*;
use crate::float::{BRAIN, HALF, Round, SINGLE, narrow, odd_sum};
use crate::memory::{self, Range};

/// The size of a launch.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The number of blocks along x, y and z.
    pub blocks: [u32; 3],
    /// The number of threads per block along x, y and z.
    pub threads: [u32; 3],
    /// The dynamic shared memory per block, in bytes.
    pub shared: u32,
}

/// The reason why a kernel failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An access that is not inside one allocation.
    Address,
    /// An access to an address that is not a multiple of its size.
    Alignment,
    /// An instruction that is not supported.
    Unknown,
    /// A trap, a deadlock, or calls that are nested too deeply.
    Failed,
}

/// A failure of a kernel, with its location.
#[derive(Debug)]
pub struct Fault {
    /// The kind of failure.
    pub cause: Cause,
    /// A message with the kernel, instruction, line, thread and address.
    pub text: String,
}

/// The frames of a thread have memory for this many nested calls of the function with the largest frame.
const DEEPEST: usize = 16;

struct Error {
    cause: Cause,
    what: String,
    function: usize,
    at: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    End,
    Barrier,
    Shuffle,
}

/// The data that all threads of a launch share.
struct Launch<'a> {
    module: &'a Module,
    kernel: usize,
    grid: Grid,
    params: &'a [u64],
    param_bytes: usize,
    ranges: Arc<Vec<Range>>,
}

/// One thread: its slots (registers and constants), its next instruction, the reason why it stopped, its carry flag.
struct Thread {
    places: Vec<u64>,
    at: usize,
    stop: Option<Stop>,
    carry: u64,
}

/// The memory of one worker thread of the CPU, reused for each block that it runs.
struct Worker {
    shared: Vec<u64>,
    /// The frames of the block's threads if they wait for each other; otherwise one frame that all threads use in turn.
    frames: Vec<u64>,
    frame_len: usize,
    last: [Range; 4],
    turn: usize,
}

impl Module {
    /// Runs the kernel with this index to its end. `params` holds the bytes of each declared parameter.
    ///
    /// # Errors
    /// At the first invalid access or unsupported instruction of any thread.
    pub fn launch(&self, kernel: usize, grid: Grid, params: &[Vec<u8>]) -> Result<(), Fault> {
        let function = &self.functions[kernel];
        for (inst, (line, text)) in function.code.iter().zip(&function.texts) {
            if inst.op == Op::Unknown {
                return Err(Fault {
                    cause: Cause::Unknown,
                    text: format!(
                        "kernel {}, line {line}: '{text}' is not known",
                        function.name
                    ),
                });
            }
        }
        let size = function
            .params
            .last()
            .map_or(0, |(offset, size)| offset + size);
        let mut buffer = vec![0u64; size.div_ceil(8)];
        for (&(offset, size), bytes) in function.params.iter().zip(params) {
            for (i, byte) in bytes.iter().take(size).enumerate() {
                let at = offset + i;
                buffer[at / 8] |= u64::from(*byte) << (8 * (at % 8));
            }
        }
        let launch = Launch {
            module: self,
            kernel,
            grid,
            params: &buffer,
            param_bytes: size,
            ranges: memory::ranges(),
        };
        let blocks: u64 = grid.blocks.iter().map(|&b| u64::from(b)).product();
        let per_block: u64 = grid.threads.iter().map(|&b| u64::from(b)).product();
        if blocks * per_block < 4096 {
            return launch.blocks(0..blocks);
        }
        let parts = blocks.min(64);
        (0..parts)
            .into_par_iter()
            .try_for_each(|part| launch.blocks(blocks * part / parts..blocks * (part + 1) / parts))
    }
}

impl Launch<'_> {
    fn function(&self) -> &Function {
        &self.module.functions[self.kernel]
    }

    fn blocks(&self, blocks: std::ops::Range<u64>) -> Result<(), Fault> {
        let function = self.function();
        let [tx, ty, tz] = self.grid.threads.map(|n| n as usize);
        let count = tx * ty * tz;
        let kept = if function.waits { count } else { 1 };
        let frame_len = self.frame_len();
        let mut worker = Worker {
            shared: vec![u64::MAX; (function.shared + self.grid.shared as usize).div_ceil(8)],
            frames: vec![u64::MAX; kept * frame_len],
            frame_len,
            last: [Range { start: 0, end: 0 }; 4],
            turn: 0,
        };
        let mut threads: Vec<Thread> = (0..kept)
            .map(|_| Thread {
                places: function.places.clone(),
                at: 0,
                stop: None,
                carry: 0,
            })
            .collect();
        for block in blocks {
            let [bx, by, _] = self.grid.blocks.map(u64::from);
            let position = [block % bx, block / bx % by, block / bx / by];
            worker.shared.fill(u64::MAX);
            let start = |thread: &mut Thread, number: usize| {
                thread.places.copy_from_slice(&function.places);
                thread.at = 0;
                thread.stop = None;
                let own = [number % tx, number / tx % ty, number / tx / ty];
                for axis in 0..3 {
                    thread.places[TID + axis] = own[axis] as u64;
                    thread.places[NTID + axis] = self.grid.threads[axis].into();
                    thread.places[CTAID + axis] = position[axis];
                    thread.places[NCTAID + axis] = self.grid.blocks[axis].into();
                }
                thread.places[LANE] = number as u64 % 32;
                thread.places[WARP] = number as u64 / 32;
            };
            if !function.waits {
                for number in 0..count {
                    start(&mut threads[0], number);
                    self.run(&mut worker, self.kernel, &mut threads[0], 0, 0)
                        .map_err(|e| self.fault(e, position, number))?;
                }
                continue;
            }
            for (number, thread) in threads.iter_mut().enumerate() {
                start(thread, number);
            }
            self.together(&mut worker, &mut threads, position)?;
        }
        Ok(())
    }

    /// The number of 8-byte words of a thread's frames: the kernel's own and those of nested calls.
    fn frame_len(&self) -> usize {
        let functions = &self.module.functions;
        let deepest = functions
            .iter()
            .filter(|f| !f.is_kernel)
            .map(|f| f.frame)
            .max()
            .unwrap_or(0);
        (self.function().frame + deepest * DEEPEST).div_ceil(8)
    }

    /// Runs all threads of a block in which threads wait for each other.
    fn together(
        &self,
        worker: &mut Worker,
        threads: &mut [Thread],
        block: [u64; 3],
    ) -> Result<(), Fault> {
        loop {
            for first in (0..threads.len()).step_by(32) {
                let last = (first + 32).min(threads.len());
                loop {
                    for (lane, thread) in threads[first..last].iter_mut().enumerate() {
                        if thread.stop.is_none() {
                            let number = first + lane;
                            let stop = self
                                .run(worker, self.kernel, thread, number, 0)
                                .map_err(|e| self.fault(e, block, number))?;
                            thread.stop = Some(stop);
                        }
                    }
                    if !self
                        .exchange(&mut threads[first..last])
                        .map_err(|e| self.fault(e, block, first))?
                    {
                        break;
                    }
                }
            }
            if threads.iter().all(|thread| thread.stop == Some(Stop::End)) {
                return Ok(());
            }
            // All threads that have not ended are at a barrier.
            for thread in threads
                .iter_mut()
                .filter(|thread| thread.stop == Some(Stop::Barrier))
            {
                thread.stop = None;
            }
        }
    }

    /// Executes one shuffle of a warp; false if none of its threads is at a shuffle.
    fn exchange(&self, warp: &mut [Thread]) -> Result<bool, Error> {
        let Some(leader) = warp.iter().position(|t| t.stop == Some(Stop::Shuffle)) else {
            return Ok(false);
        };
        let at = warp[leader].at - 1;
        let inst = &self.function().code[at];
        let mask = warp[leader].places[inst.s[3] as usize] as u32;
        let wrong = |what: String| Error {
            cause: Cause::Failed,
            what,
            function: self.kernel,
            at,
        };
        for (lane, thread) in warp.iter().enumerate() {
            let named = mask >> lane & 1 == 1;
            let here = thread.stop == Some(Stop::Shuffle) && thread.at - 1 == at;
            if named && !here && thread.stop != Some(Stop::End) {
                return Err(wrong(format!(
                    "lane {lane} of the shuffle's mask {mask:#x} waits elsewhere"
                )));
            }
        }
        let Op::Shuffle(kind) = inst.op else {
            return Err(wrong("no shuffle".into()));
        };
        let values: Vec<u64> = warp.iter().map(|t| t.places[inst.s[0] as usize]).collect();
        for (lane, thread) in warp.iter_mut().enumerate() {
            if thread.stop != Some(Stop::Shuffle) || thread.at - 1 != at {
                continue;
            }
            let b = (thread.places[inst.s[1] as usize] & 31) as i64;
            let c = thread.places[inst.s[2] as usize];
            let (clamp, segment) = (c & 31, c >> 8 & 31);
            let lane = lane as i64;
            let max_lane = ((lane as u64 & segment) | (clamp & !segment & 31)) as i64;
            let min_lane = (lane as u64 & segment) as i64;
            let (from, inside) = match kind {
                Shuffle::Up => (lane - b, lane - b >= max_lane),
                Shuffle::Down => (lane + b, lane + b <= max_lane),
                Shuffle::Butterfly => (lane ^ b, (lane ^ b) <= max_lane),
                Shuffle::Index => {
                    let from = min_lane | (b & !(segment as i64));
                    (from, from <= max_lane)
                }
            };
            let from = if inside { from } else { lane };
            // Lanes beyond the end of the block have no value.
            let value = values.get(from as usize).copied().unwrap_or(u64::MAX);
            thread.places[inst.d as usize] = value & 0xFFFF_FFFF;
            if inst.d2 != NONE {
                thread.places[inst.d2 as usize] = inside.into();
            }
            thread.stop = None;
        }
        Ok(true)
    }

    fn fault(&self, error: Error, block: [u64; 3], thread: usize) -> Fault {
        let function = &self.module.functions[error.function];
        let (line, text) = &function.texts[error.at];
        Fault {
            cause: error.cause,
            text: format!(
                "kernel {}, block {block:?}, thread {thread}, line {line} of {}: '{text}': {}",
                self.function().name,
                function.name,
                error.what
            ),
        }
    }

    /// Runs function `number` in a thread until the thread ends or must wait. `owner` selects the thread's frame, and
    /// `base` is the offset in bytes of this call's part of the frame.
    fn run(
        &self,
        worker: &mut Worker,
        number: usize,
        thread: &mut Thread,
        owner: usize,
        base: usize,
    ) -> Result<Stop, Error> {
        let function = &self.module.functions[number];
        let owner = if worker.frames.len() == worker.frame_len {
            0
        } else {
            owner
        };
        if thread.at == 0 {
            for &place in &function.framed {
                thread.places[place as usize] = function.places[place as usize] + base as u64;
            }
        }
        let code = &function.code;
        let mut at = thread.at;
        loop {
            let Some(inst) = code.get(at) else {
                return Ok(Stop::End);
            };
            let here = at;
            let wrong = move |cause, what: String| Error {
                cause,
                what,
                function: number,
                at: here,
            };
            at += 1;
            let places = &mut thread.places;
            if inst.guard != NONE {
                let holds = places[inst.guard as usize / 2] != 0;
                if holds == (inst.guard % 2 == 1) {
                    continue;
                }
            }
            let [a, b, c] = [inst.s[0], inst.s[1], inst.s[2]].map(|place| places[place as usize]);
            let result = match inst.op {
                Op::Nothing => continue,
                Op::Branch => {
                    at = inst.target;
                    continue;
                }
                Op::Return => return Ok(Stop::End),
                Op::Barrier => {
                    thread.at = at;
                    return Ok(Stop::Barrier);
                }
                Op::Shuffle(_) => {
                    thread.at = at;
                    return Ok(Stop::Shuffle);
                }
                Op::Load(space) => {
                    let size = inst.ty.size();
                    let address = a.wrapping_add(inst.offset as u64);
                    let pointer = self
                        .resolve(worker, space, address, size * inst.list.len(), false, owner)
                        .map_err(|(cause, what)| wrong(cause, what))?;
                    for (i, &place) in inst.list.iter().enumerate() {
                        // SAFETY: `resolve` checked that all elements of the vector are in memory.
                        let bits = unsafe { peek(pointer.add(i * size), size) };
                        places[place as usize] = match inst.ty {
                            Ty::S(n) => signed(bits, n) as u64,
                            _ => bits,
                        };
                    }
                    continue;
                }
                Op::Store(space) => {
                    let size = inst.ty.size();
                    let address = a.wrapping_add(inst.offset as u64);
                    let pointer = self
                        .resolve(worker, space, address, size * inst.list.len(), true, owner)
                        .map_err(|(cause, what)| wrong(cause, what))?;
                    for (i, &place) in inst.list.iter().enumerate() {
                        // SAFETY: as above.
                        unsafe { poke(pointer.add(i * size), size, places[place as usize]) };
                    }
                    continue;
                }
                Op::Atomic(kind, space) => {
                    let address = a.wrapping_add(inst.offset as u64);
                    let pointer = self
                        .resolve(worker, space, address, inst.ty.size(), true, owner)
                        .map_err(|(cause, what)| wrong(cause, what))?;
                    let known = atomic(pointer, inst.ty, kind, b, c);
                    known.ok_or_else(|| {
                        wrong(
                            Cause::Unknown,
                            "an atomic operation that is not known".into(),
                        )
                    })?
                }
                Op::Mov => a,
                Op::Pack => {
                    let bits = 8 * inst.ty.size() / inst.list.len();
                    let mask = if bits >= 64 {
                        u64::MAX
                    } else {
                        (1 << bits) - 1
                    };
                    let parts = inst.list.iter().enumerate();
                    parts
                        .map(|(i, &place)| (places[place as usize] & mask) << (i * bits))
                        .sum()
                }
                Op::Unpack => {
                    let bits = 8 * inst.ty.size() / inst.list.len();
                    let mask = if bits >= 64 {
                        u64::MAX
                    } else {
                        (1 << bits) - 1
                    };
                    for (i, &place) in inst.list.iter().enumerate() {
                        places[place as usize] = a >> (i * bits) & mask;
                    }
                    continue;
                }
                Op::Select => {
                    if c != 0 {
                        a
                    } else {
                        b
                    }
                }
                Op::SelectSign => {
                    let negative = match inst.from {
                        Ty::F32 => double(Ty::F32, c) < 0.0 || double(Ty::F32, c).is_nan(),
                        _ => (c as i32) < 0,
                    };
                    if negative { b } else { a }
                }
                Op::SetPredicate(compare, unordered) => {
                    let Some(holds) = holds(compare, unordered, inst.ty, a, b) else {
                        return Err(wrong(
                            Cause::Unknown,
                            "a comparison that is not known".into(),
                        ));
                    };
                    if inst.d2 != NONE {
                        places[inst.d2 as usize] = (!holds).into();
                    }
                    holds.into()
                }
                Op::Set(compare, unordered) => {
                    let Some(holds) = holds(compare, unordered, inst.from, a, b) else {
                        return Err(wrong(
                            Cause::Unknown,
                            "a comparison that is not known".into(),
                        ));
                    };
                    match (holds, inst.ty) {
                        (false, _) => 0,
                        (true, Ty::F32) => 1f32.to_bits().into(),
                        (true, Ty::F16) => narrow(1.0, HALF, Round::Nearest).into(),
                        (true, Ty::Bf16) => narrow(1.0, BRAIN, Round::Nearest).into(),
                        (true, _) => u64::MAX,
                    }
                }
                Op::Convert => convert::convert(inst, a).ok_or_else(|| {
                    wrong(Cause::Unknown, "a conversion that is not known".into())
                })?,
                Op::ConvertPair => convert::pair(inst, a, b).ok_or_else(|| {
                    wrong(Cause::Unknown, "a conversion that is not known".into())
                })?,
                Op::ToGeneric(space) => match space {
                    Space::Shared => a | SHARED_WINDOW,
                    Space::Local => a | LOCAL_WINDOW,
                    Space::Param => a | PARAM_WINDOW,
                    Space::Generic | Space::Global => a,
                },
                Op::FromGeneric => a & !WINDOWS,
                Op::CopySign => match inst.ty {
                    Ty::F32 => (b & 0x7FFF_FFFF) | (a & 0x8000_0000),
                    _ => (b & !(1 << 63)) | (a & 1 << 63),
                },
                Op::BitInsert => {
                    let length = places[inst.s[3] as usize];
                    let size = inst.ty.size() as u8;
                    unsigned(
                        insert(unsigned(a, size), unsigned(b, size), c, length),
                        size,
                    )
                }
                Op::And if inst.ty == Ty::Pred => u64::from(a != 0 && b != 0),
                Op::Or if inst.ty == Ty::Pred => u64::from(a != 0 || b != 0),
                Op::Xor if inst.ty == Ty::Pred => u64::from((a != 0) != (b != 0)),
                Op::Not if inst.ty == Ty::Pred => u64::from(a == 0),
                Op::Add | Op::Sub | Op::Mad | Op::MadHigh if inst.carry_in || inst.carry_out => {
                    let (value, carry) = carried(inst, a, b, c, thread.carry);
                    if inst.carry_out {
                        thread.carry = carry;
                    }
                    value
                }
                Op::Call => {
                    let base = base + function.frame;
                    self.call(worker, inst, thread, owner, base)
                        .map_err(|e| match e {
                            Some(e) => e,
                            None => wrong(Cause::Failed, "a call that is too deep or waits".into()),
                        })?;
                    continue;
                }
                Op::Trap => return Err(wrong(Cause::Failed, "the kernel gave up".into())),
                Op::Unknown => return Err(wrong(Cause::Unknown, "not known".into())),
                _ => compute(inst, [a, b, c]).ok_or_else(|| {
                    wrong(Cause::Unknown, "an operation that is not known".into())
                })?,
            };
            let wide = matches!(inst.op, Op::MulWide | Op::MadWide);
            thread.places[inst.d as usize] = match inst.ty {
                Ty::U(n) | Ty::B(n) if !wide && inst.op != Op::Convert => unsigned(result, n),
                Ty::S(n) if !wide && inst.op != Op::Convert => unsigned(result, n),
                Ty::U(4) | Ty::S(4) | Ty::B(4) | Ty::U(8) | Ty::S(8) | Ty::B(8) => result,
                Ty::U(n) | Ty::S(n) if wide => unsigned(result, 2 * n),
                _ => result,
            };
        }
    }

    /// Calls a function of the module; the error is `None` when the call itself is not supported.
    fn call(
        &self,
        worker: &mut Worker,
        inst: &Inst,
        thread: &mut Thread,
        owner: usize,
        base: usize,
    ) -> Result<(), Option<Error>> {
        let callee = &self.module.functions[inst.target];
        if base + callee.frame > 8 * worker.frame_len || callee.waits {
            return Err(None);
        }
        let frames: *mut u8 = worker.frames[owner * worker.frame_len..]
            .as_mut_ptr()
            .cast();
        let addresses: Vec<usize> = inst
            .list
            .iter()
            .map(|&p| thread.places[p as usize] as usize)
            .collect();
        let (results, arguments) = addresses.split_at(inst.results);
        let copy = |from: usize, to: usize, size: usize| -> Result<(), Option<Error>> {
            if from + size > 8 * worker.frame_len || to + size > 8 * worker.frame_len {
                return Err(None);
            }
            // SAFETY: both ranges are inside this thread's frames.
            unsafe { std::ptr::copy(frames.add(from), frames.add(to), size) };
            Ok(())
        };
        for (&from, &(to, size)) in arguments.iter().zip(&callee.params) {
            copy(from, base + to, size)?;
        }
        let mut inner = Thread {
            places: callee.places.clone(),
            at: 0,
            stop: None,
            carry: 0,
        };
        inner.places[TID..=WARP].copy_from_slice(&thread.places[TID..=WARP]);
        let stop = self
            .run(worker, inst.target, &mut inner, owner, base)
            .map_err(Some)?;
        if stop != Stop::End {
            return Err(None);
        }
        let frames: *mut u8 = worker.frames[owner * worker.frame_len..]
            .as_mut_ptr()
            .cast();
        for (&to, &(from, size)) in results.iter().zip(&callee.returns) {
            if to + size > 8 * worker.frame_len {
                return Err(None);
            }
            // SAFETY: both ranges are inside this thread's frames.
            unsafe { std::ptr::copy(frames.add(base + from), frames.add(to), size) };
        }
        Ok(())
    }

    /// The pointer for an access of `size` bytes at an address of a state space, checked for alignment and bounds.
    fn resolve(
        &self,
        worker: &mut Worker,
        space: Space,
        address: u64,
        size: usize,
        write: bool,
        owner: usize,
    ) -> Result<*mut u8, (Cause, String)> {
        if !address.is_multiple_of(size as u64) {
            return Err((
                Cause::Alignment,
                format!("the address {address:#x} is no multiple of {size}"),
            ));
        }
        let (space, address) = match (space, address & WINDOWS) {
            (Space::Generic, 0) => (Space::Global, address),
            (Space::Generic, SHARED_WINDOW) => (Space::Shared, address & !WINDOWS),
            (Space::Generic, LOCAL_WINDOW) => (Space::Local, address & !WINDOWS),
            (Space::Generic, PARAM_WINDOW) => (Space::Param, address & !WINDOWS),
            _ => (space, address),
        };
        let end = address.saturating_add(size as u64);
        let outside = |what: String| {
            let did = if write { "writes" } else { "reads" };
            (
                Cause::Address,
                format!("{did} {size} bytes at {address:#x}, {what}"),
            )
        };
        let inside = |len: usize, words: *mut u64, what: &str| {
            if end as u128 > len as u128 {
                return Err(outside(format!("outside {len} bytes of {what} memory")));
            }
            // SAFETY: the end of the access is inside the memory.
            Ok(unsafe { words.cast::<u8>().add(address as usize) })
        };
        match space {
            Space::Shared => {
                let len = self.function().shared + self.grid.shared as usize;
                inside(len, worker.shared.as_mut_ptr(), "shared")
            }
            Space::Local => {
                let words = worker.frames[owner * worker.frame_len..].as_mut_ptr();
                inside(8 * worker.frame_len, words, "local")
            }
            Space::Param if write => Err(outside("which is a parameter".into())),
            Space::Param => inside(
                self.param_bytes,
                self.params.as_ptr().cast_mut(),
                "parameter",
            ),
            Space::Global | Space::Generic => {
                if worker
                    .last
                    .iter()
                    .any(|r| r.start <= address && end <= r.end)
                {
                    return Ok(address as *mut u8);
                }
                let after = self.ranges.partition_point(|range| range.start <= address);
                match after.checked_sub(1).map(|i| self.ranges[i]) {
                    Some(range) if end <= range.end => {
                        worker.turn = (worker.turn + 1) % worker.last.len();
                        worker.last[worker.turn] = range;
                        Ok(address as *mut u8)
                    }
                    Some(range) if address - range.end < 1 << 20 => Err(outside(format!(
                        "{} bytes behind the end of an allocation of {} bytes",
                        address.saturating_sub(range.end),
                        range.end - range.start
                    ))),
                    _ => Err(outside("in no allocation".into())),
                }
            }
        }
    }
}

/// # Safety
/// `from` must be valid for reading `size` bytes, and aligned.
unsafe fn peek(from: *const u8, size: usize) -> u64 {
    // SAFETY: the caller's promise; the address is aligned.
    unsafe {
        match size {
            1 => from.read().into(),
            2 => from.cast::<u16>().read().into(),
            4 => from.cast::<u32>().read().into(),
            _ => from.cast::<u64>().read(),
        }
    }
}

/// # Safety
/// `to` must be valid for writing `size` bytes, and aligned.
unsafe fn poke(to: *mut u8, size: usize, bits: u64) {
    // SAFETY: the caller's promise; the address is aligned.
    unsafe {
        match size {
            1 => to.write(bits as u8),
            2 => to.cast::<u16>().write(bits as u16),
            4 => to.cast::<u32>().write(bits as u32),
            _ => to.cast::<u64>().write(bits),
        }
    }
}

/// The result of an addition, subtraction or multiply-add with carry, and the new carry flag.
fn carried(inst: &Inst, a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let size = inst.ty.size() as u8;
    let bits = 8 * u32::from(size);
    let [a, b, c] = [a, b, c].map(|value| u128::from(unsigned(value, size)));
    let carry = if inst.carry_in { u128::from(carry) } else { 0 };
    let mask = (1u128 << bits) - 1;
    let sum = match inst.op {
        Op::Add => a + b + carry,
        // The flag holds a borrow as 1.
        Op::Sub => {
            let value = a.wrapping_sub(b).wrapping_sub(carry);
            return ((value & mask) as u64, u64::from(a < b + carry));
        }
        Op::Mad => ((a * b) & mask) + c + carry,
        _ => ((a * b) >> bits) + c + carry,
    };
    ((sum & mask) as u64, (sum >> bits) as u64)
}

/// Executes an atomic operation at `pointer` and returns the old value; `None` if it is not supported.
fn atomic(pointer: *mut u8, ty: Ty, kind: Atomic, b: u64, c: u64) -> Option<u64> {
    let size = ty.size() as u8;
    let next = |old: u64| -> Option<u64> {
        let number = |ty, bits| double(ty, bits);
        Some(match (kind, ty) {
            (Atomic::Exchange, _) => b,
            (Atomic::CompareAndSwap, _) if unsigned(old, size) == unsigned(b, size) => c,
            (Atomic::CompareAndSwap, _) => old,
            (Atomic::Add, Ty::F32) => narrow(
                odd_sum(number(ty, old), number(ty, b)),
                SINGLE,
                Round::Nearest,
            )
            .into(),
            (Atomic::Add, Ty::F64) => (number(ty, old) + number(ty, b)).to_bits(),
            (Atomic::Add, Ty::F16) => narrow(
                odd_sum(number(ty, old), number(ty, b)),
                HALF,
                Round::Nearest,
            )
            .into(),
            (Atomic::Add, Ty::Bf16) => narrow(
                odd_sum(number(ty, old), number(ty, b)),
                BRAIN,
                Round::Nearest,
            )
            .into(),
            (_, ty) if ty.is_float() => return None,
            (Atomic::Add, _) => old.wrapping_add(b),
            (Atomic::Min, Ty::S(n)) => signed(old, n).min(signed(b, n)) as u64,
            (Atomic::Max, Ty::S(n)) => signed(old, n).max(signed(b, n)) as u64,
            (Atomic::Min, _) => unsigned(old, size).min(unsigned(b, size)),
            (Atomic::Max, _) => unsigned(old, size).max(unsigned(b, size)),
            (Atomic::And, _) => old & b,
            (Atomic::Or, _) => old | b,
            (Atomic::Xor, _) => old ^ b,
            (Atomic::Increment, _) if old >= unsigned(b, size) => 0,
            (Atomic::Increment, _) => old + 1,
            (Atomic::Decrement, _) if old == 0 || old > unsigned(b, size) => b,
            (Atomic::Decrement, _) => old - 1,
        })
    };
    // Threads of other blocks may run at the same time.
    macro_rules! update {
        ($atomic:ty, $number:ty) => {{
            // SAFETY: `resolve` checked that the value is in memory and aligned.
            let place = unsafe { <$atomic>::from_ptr(pointer.cast()) };
            let mut old = place.load(Ordering::Relaxed);
            loop {
                let new = next(old.into())? as $number;
                match place.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => return Some(old.into()),
                    Err(now) => old = now,
                }
            }
        }};
    }
    match size {
        2 => update!(AtomicU16, u16),
        4 => update!(AtomicU32, u32),
        8 => update!(AtomicU64, u64),
        _ => None,
    }
}
