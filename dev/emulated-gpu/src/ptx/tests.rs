//! Runs small kernels for each group of instructions.

use super::Module;
use super::run::{Cause, Fault, Grid};
use crate::memory;

/// An allocation in the GPU's memory that is freed when dropped.
struct Buffer {
    at: u64,
    len: usize,
}

impl Buffer {
    fn of<T: Copy>(values: &[T]) -> Buffer {
        let len = size_of_val(values);
        let at = memory::allocate(len).unwrap();
        // SAFETY: both have `len` bytes.
        unsafe { std::ptr::copy(values.as_ptr().cast(), at as *mut u8, len) };
        Buffer { at, len }
    }

    fn read<T: Copy>(&self) -> Vec<T> {
        let values = self.at as *const T;
        // SAFETY: the allocation is that long, and all its bytes were written.
        (0..self.len / size_of::<T>())
            .map(|i| unsafe { values.add(i).read() })
            .collect()
    }

    fn param(&self) -> Vec<u8> {
        self.at.to_le_bytes().to_vec()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        memory::release(self.at);
    }
}

const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

fn launch(text: &str, blocks: u32, threads: u32, params: &[Vec<u8>]) -> Result<(), Fault> {
    let module = Module::load(&format!("{HEAD}{text}")).unwrap();
    let grid = Grid {
        blocks: [blocks, 1, 1],
        threads: [threads, 1, 1],
        shared: 0,
    };
    module.launch(module.kernel("k").unwrap(), grid, params)
}

/// Runs a kernel whose threads each read 8 bytes into `%a`, execute `work` and write the 8 bytes of `%d`.
fn each(registers: &str, work: &str, inputs: &[u64]) -> Vec<u64> {
    let (a, d) = (Buffer::of(inputs), Buffer::of(&vec![0u64; inputs.len()]));
    let text = format!(
        ".visible .entry k(.param .u64 k_0, .param .u64 k_1) {{
            .reg .b64 %at, %from, %to, %a, %d; .reg .b32 %t; {registers}
            ld.param.u64 %from, [k_0]; ld.param.u64 %to, [k_1];
            mov.u32 %t, %tid.x; mul.wide.u32 %at, %t, 8;
            add.s64 %from, %from, %at; add.s64 %to, %to, %at;
            ld.global.u64 %a, [%from]; mov.u64 %d, 0;
            {work}
            st.global.u64 [%to], %d; ret; }}"
    );
    launch(&text, 1, inputs.len() as u32, &[a.param(), d.param()])
        .unwrap_or_else(|e| panic!("{}", e.text));
    d.read()
}

fn singles(a: f32, b: f32) -> u64 {
    u64::from(a.to_bits()) | u64::from(b.to_bits()) << 32
}

/// Runs `work` on two f32 in `%f1` and `%f2`; the result is in `%f3`.
fn floats(work: &str, a: f32, b: f32) -> f32 {
    let work = format!("mov.b64 {{%f1, %f2}}, %a; {work} mov.b32 %r, %f3; cvt.u64.u32 %d, %r;");
    let bits = each(
        ".reg .f32 %f<9>; .reg .b32 %r; .reg .pred %p<3>;",
        &work,
        &[singles(a, b)],
    );
    f32::from_bits(bits[0] as u32)
}

#[test]
fn floats_are_added_multiplied_and_fused_with_one_rounding() {
    let (a, b) = (1.0 + f32::EPSILON, 1.0 - f32::EPSILON / 2.0);
    assert_eq!(
        floats("fma.rn.f32 %f3, %f1, %f2, 0fBF800000;", a, b),
        a.mul_add(b, -1.0)
    );
    assert_ne!(a.mul_add(b, -1.0), a * b - 1.0);
    assert_eq!(floats("add.f32 %f3, %f1, %f2;", 1e8, 3.0), 1e8 + 3.0);
    assert_eq!(floats("add.rz.f32 %f3, %f1, %f2;", 1.0, 1e-9), 1.0);
    assert_eq!(
        floats("add.rz.f32 %f3, %f1, %f2;", 1.0, -1e-9),
        1f32.next_down()
    );
    assert_eq!(
        floats("fma.rm.f32 %f3, %f1, %f2, 0f3F800000;", -1e-5, 1e-5),
        1f32.next_down()
    );
    assert_eq!(floats("div.rn.f32 %f3, %f1, %f2;", 1.0, 3.0), 1.0 / 3.0);
    assert_eq!(floats("sqrt.rn.f32 %f3, %f1;", 2.0, 0.0), 2f32.sqrt());
    assert_eq!(floats("ex2.approx.ftz.f32 %f3, %f1;", -3.0, 0.0), 0.125);
    assert_eq!(floats("mul.ftz.f32 %f3, %f1, %f2;", 1e-30, 1e-10), 0.0);
    assert_eq!(floats("min.f32 %f3, %f1, %f2;", f32::NAN, 2.0), 2.0);
    assert!(floats("max.NaN.f32 %f3, %f1, %f2;", f32::NAN, 2.0).is_nan());
    assert_eq!(floats("copysign.f32 %f3, %f1, %f2;", -0.0, 2.0), -2.0);
    assert_eq!(floats("cvt.sat.f32.f32 %f3, %f1;", 7.0, 0.0), 1.0);
    assert_eq!(floats("cvt.rni.f32.f32 %f3, %f1;", 2.5, 0.0), 2.0);
}

#[test]
fn comparisons_know_what_is_unordered() {
    for (compare, expected) in [
        ("lt", 0.0),
        ("ltu", 1.0),
        ("eq", 0.0),
        ("ne", 0.0),
        ("neu", 1.0),
        ("equ", 1.0),
        ("nan", 1.0),
        ("num", 0.0),
    ] {
        let work =
            format!("setp.{compare}.f32 %p1, %f1, %f2; selp.f32 %f3, 0f3F800000, 0f00000000, %p1;");
        assert_eq!(floats(&work, f32::NAN, 1.0), expected, "{compare}");
    }
    let guarded = "setp.gt.f32 %p1, %f1, %f2; mov.f32 %f3, 0f00000000; @%p1 mov.f32 %f3, %f1; @!%p1 mov.f32 %f3, %f2;";
    assert_eq!(floats(guarded, 3.0, 2.0), 3.0);
    assert_eq!(floats(guarded, 2.0, 4.0), 4.0);
}

#[test]
fn integers_wrap_shift_and_carry() {
    let one = |work: &str, a: u64| {
        each(
            ".reg .b32 %r<9>; .reg .b16 %s<4>; .reg .b64 %w<4>;",
            work,
            &[a],
        )[0]
    };
    assert_eq!(
        one(
            "cvt.u32.u64 %r1, %a; mad.lo.s32 %r2, %r1, %r1, 1; cvt.u64.u32 %d, %r2;",
            0xFFFF_FFFF
        ),
        2
    );
    assert_eq!(one("mul.hi.u64 %d, %a, %a;", u64::MAX), u64::MAX - 1);
    assert_eq!(
        one("cvt.u32.u64 %r1, %a; mul.wide.s32 %d, %r1, -3;", 5),
        (-15i64) as u64
    );
    assert_eq!(one("shl.b64 %d, %a, 64;", 5), 0);
    assert_eq!(
        one(
            "cvt.u32.u64 %r1, %a; shr.s32 %r2, %r1, 40; cvt.s64.s32 %d, %r2;",
            0x8000_0000
        ),
        u64::MAX
    );
    assert_eq!(one("div.s64 %d, %a, 2;", (-7i64) as u64), (-3i64) as u64);
    assert_eq!(one("bfi.b64 %d, %a, -1, 4, 8;", 0xAB), !0xFF0 | 0xAB0);
    assert_eq!(
        one(
            "clz.b64 %r1, %a; popc.b64 %r2, %a; add.s32 %r3, %r1, %r2; cvt.u64.u32 %d, %r3;",
            7
        ),
        64
    );
    assert_eq!(
        one(
            "cvt.u32.u64 %r1, %a; prmt.b32 %r2, %r1, 0, 0x0123; cvt.u64.u32 %d, %r2;",
            0x0102_0304
        ),
        0x0403_0201
    );
    assert_eq!(
        one(
            "cvt.u16.u64 %s1, %a; add.s16 %s2, %s1, 1; cvt.u64.u16 %d, %s2;",
            0xFFFF
        ),
        0
    );
    let wide = "mov.b64 {%r1, %r2}, %a; add.cc.u32 %r3, %r1, %r1; addc.u32 %r4, %r2, %r2; mov.b64 %d, {%r3, %r4};";
    assert_eq!(one(wide, 0x1_8000_0001), 0x3_0000_0002);
    let wide = "mov.b64 {%r1, %r2}, %a; sub.cc.u32 %r3, %r1, 2; subc.u32 %r4, %r2, 0; mov.b64 %d, {%r3, %r4};";
    assert_eq!(one(wide, 0x1_0000_0001), 0xFFFF_FFFF);
}

#[test]
fn half_precision_rounds_once_and_converts() {
    let one = |work: &str, a: u64| {
        each(
            ".reg .b32 %r<9>; .reg .f32 %f<9>; .reg .b16 %s<4>;",
            work,
            &[a],
        )[0]
    };
    let halves = "cvt.u32.u64 %r1, %a; mov.b32 %f1, %r1; cvt.rn.f16.f32 %s1, %f1; cvt.f32.f16 %f2, %s1; \
                  mov.b32 %r2, %f2; cvt.u64.u32 %d, %r2;";
    assert_eq!(
        f32::from_bits(one(halves, 0.1f32.to_bits().into()) as u32),
        0.099_975_586
    );
    // 1 (0x3C00) plus about 2^-12 (0x0C01), a quarter of the last bit of 1 in f16, is rounded to 1.
    assert_eq!(
        one(
            "cvt.u16.u64 %s1, %a; fma.rn.f16 %s2, %s1, 0x0C01, %s1; cvt.u64.u16 %d, %s2;",
            0x3C00
        ),
        0x3C00
    );
    assert_eq!(
        one(
            "cvt.u16.u64 %s1, %a; fma.rn.bf16 %s2, %s1, 0x3F80, %s1; cvt.u64.u16 %d, %s2;",
            0x3FC0
        ),
        0x4040
    );
    assert_eq!(
        one(
            "cvt.u16.u64 %s1, %a; mov.b32 %f1, {0, %s1}; cvt.rzi.s32.f32 %r1, %f1; cvt.s64.s32 %d, %r1;",
            0xC120
        ),
        (-10i64) as u64
    );
    assert_eq!(
        one(
            "cvt.u32.u64 %r1, %a; cvt.rn.f16.s32 %s1, %r1; cvt.u64.u16 %d, %s1;",
            2049
        ),
        0x6800
    );
}

/// Sums 64 numbers, first in shared memory with a barrier, then by shuffles.
const SUM: &str = ".visible .entry k(.param .u64 k_0, .param .u64 k_1) {
    .reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .pred %p<3>;
    .shared .align 4 .b8 room[256];
    ld.param.u64 %rd1, [k_0]; ld.param.u64 %rd2, [k_1];
    mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 4; add.s64 %rd4, %rd1, %rd3;
    ld.global.f32 %f1, [%rd4];
    shl.b32 %r2, %r1, 2; mov.u32 %r3, room; add.s32 %r4, %r3, %r2;
    st.shared.f32 [%r4], %f1;
    bar.sync 0;
    setp.gt.u32 %p1, %r1, 31; @%p1 bra $END;
    ld.shared.f32 %f2, [%r4+128]; add.f32 %f1, %f1, %f2;
    mov.u32 %r5, 16;
$LOOP:
    mov.b32 %r6, %f1;
    shfl.sync.bfly.b32 %r7|%p2, %r6, %r5, 31, -1;
    mov.b32 %f3, %r7; add.f32 %f1, %f1, %f3;
    shr.u32 %r5, %r5, 1; setp.ne.s32 %p1, %r5, 0; @%p1 bra $LOOP;
    setp.ne.s32 %p1, %r1, 0; @%p1 bra $END;
    st.global.f32 [%rd2], %f1;
$END: ret; }";

#[test]
fn threads_wait_for_each_other_and_exchange() {
    let numbers: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let (from, to) = (Buffer::of(&numbers), Buffer::of(&[0f32]));
    launch(SUM, 1, 64, &[from.param(), to.param()]).unwrap();
    assert_eq!(to.read::<f32>(), [2016.0]);
    // A thread that waits where the others of its warp do not come is an error.
    let text = SUM.replace(
        "@%p1 bra $END;\n    ld",
        "@%p1 bra $END; setp.eq.u32 %p1, %r1, 5; @%p1 bar.sync 0;\n    ld",
    );
    let fault = launch(&text, 1, 64, &[from.param(), to.param()]).unwrap_err();
    assert_eq!(fault.cause, Cause::Failed);
    assert!(fault.text.contains("lane 5"), "{}", fault.text);
}

#[test]
fn atomics_of_many_blocks_lose_nothing() {
    let text = ".visible .entry k(.param .u64 k_0) {
        .reg .b64 %rd<3>; .reg .b32 %r<4>; .reg .f32 %f<3>; .reg .b16 %s<3>;
        ld.param.u64 %rd1, [k_0];
        atom.global.add.f32 %f1, [%rd1], 0f3F800000;
        red.global.add.u32 [%rd1+4], 3;
        mov.u32 %r1, %ctaid.x; atom.global.max.s32 %r2, [%rd1+8], %r1;
        mov.b16 %s1, 7; atom.global.cas.b16 %s2, [%rd1+12], 0, %s1; ret; }";
    let to = Buffer::of(&[0u32; 4]);
    launch(text, 100, 64, &[to.param()]).unwrap();
    assert_eq!(to.read::<u32>(), [6400f32.to_bits(), 19_200, 99, 7]);
}

#[test]
fn calls_frames_parameters_and_constants() {
    let text = ".global .align 4 .b8 table[8] = {1, 0, 0, 0, 2, 1, 0, 0};
    .func (.param .b32 result) twice(.param .b32 twice_0) {
        .local .align 8 .b8 depot[16]; .reg .b32 %r<4>; .reg .b64 %rd<3>;
        ld.param.u32 %r1, [twice_0];
        mov.u64 %rd1, depot; cvta.local.u64 %rd2, %rd1;
        st.u32 [%rd2+4], %r1; ld.local.u32 %r2, [%rd1+4];
        add.s32 %r3, %r1, %r2; st.param.b32 [result+0], %r3; ret; }
    .visible .entry k(.param .align 4 .b8 k_0[12], .param .u64 k_1) {
        .reg .b32 %r<9>; .reg .b64 %rd<9>;
        ld.param.v2.u32 {%r1, %r2}, [k_0]; mov.b64 %rd1, k_0; ld.param.u32 %r3, [%rd1+8];
        ld.param.u64 %rd2, [k_1];
        add.s32 %r1, %r1, %r2; add.s32 %r1, %r1, %r3;
        { .reg .b32 temp; .param .b32 param0; st.param.b32 [param0+0], %r1; .param .b32 retval0;
          call.uni (retval0), twice, (param0); ld.param.b32 %r4, [retval0+0]; }
        mov.u64 %rd3, table; ld.global.u32 %r5, [%rd3+4]; add.s32 %r4, %r4, %r5;
        st.global.u32 [%rd2], %r4; ret; }";
    let to = Buffer::of(&[0u32]);
    let numbers = [1u32, 20, 300]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    launch(text, 1, 1, &[numbers, to.param()]).unwrap();
    assert_eq!(to.read::<u32>(), [642 + 258]);
}

#[test]
fn wrong_accesses_are_named() {
    let text = |offset: &str| {
        format!(
            ".visible .entry k(.param .u64 k_0) {{ .reg .b64 %rd<3>; .reg .b32 %r<3>; .reg .f32 %f<3>;
             ld.param.u64 %rd1, [k_0]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
             ld.global.f32 %f1, [%rd1{offset}]; ret; }}"
        )
    };
    let from = Buffer::of(&[0f32; 3]);
    launch(&text(""), 1, 3, &[from.param()]).unwrap();
    let fault = launch(&text(""), 1, 4, &[from.param()]).unwrap_err();
    assert_eq!(fault.cause, Cause::Address);
    for part in [
        "kernel k",
        "thread 3",
        "ld.global.f32 %f1, [%rd1]",
        "reads 4 bytes",
        "allocation of 12 bytes",
    ] {
        assert!(fault.text.contains(part), "{}", fault.text);
    }
    assert_eq!(
        launch(&text("+2"), 1, 1, &[from.param()])
            .unwrap_err()
            .cause,
        Cause::Alignment
    );
    let param = from.param();
    drop(from);
    assert_eq!(
        launch(&text(""), 1, 1, &[param]).unwrap_err().cause,
        Cause::Address
    );
    let shared = ".visible .entry k() { .reg .f32 %f1; .reg .b32 %r1; .shared .align 4 .b8 room[8];
                  mov.u32 %r1, room; ld.shared.f32 %f1, [%r1+8]; ret; }";
    assert_eq!(launch(shared, 1, 1, &[]).unwrap_err().cause, Cause::Address);
}

#[test]
fn an_instruction_that_is_not_known_fails_at_launch_and_is_named() {
    let text = ".visible .entry other() { .reg .b32 %r<2>; wonder.f32 %r1, 7; ret; } .visible .entry k() { ret; }";
    launch(text, 1, 1, &[]).unwrap();
    let fault = launch(
        &text.replace(" k()", " q()").replace("other", "k"),
        1,
        1,
        &[],
    )
    .unwrap_err();
    assert_eq!(fault.cause, Cause::Unknown);
    assert!(fault.text.contains("wonder.f32 %r1, 7"), "{}", fault.text);
    let text = ".extern .func __assertfail (.param .b64 a); .visible .entry k() { .reg .b64 %rd<2>;
                { .param .b64 param0; st.param.b64 [param0+0], 0; call.uni __assertfail, (param0); } ret; }";
    assert_eq!(launch(text, 1, 1, &[]).unwrap_err().cause, Cause::Failed);
    assert!(Module::load("nonsense").is_err());
}
