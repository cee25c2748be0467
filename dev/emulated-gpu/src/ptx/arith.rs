//! The results of arithmetic instructions.

use super::decode::{Compare, Inst, Op, Ty};
use crate::float::{
    BRAIN, Format, HALF, Round, SINGLE, from_brain, from_half, narrow, odd_sum, sum_f64,
};

pub(crate) fn single(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn flushed(inst: &Inst, value: f32) -> f32 {
    match inst.ftz && value.is_subnormal() {
        true => 0f32.copysign(value),
        false => value,
    }
}

/// The bits of an f32 result, flushed and saturated as the instruction says; every NaN becomes the one that GPUs give.
fn of_single(inst: &Inst, value: f32) -> u64 {
    let value = flushed(inst, value);
    let value = match inst.sat {
        true if value.is_nan() => 0.0,
        true => value.clamp(0.0, 1.0),
        false => value,
    };
    match value.is_nan() {
        true => 0x7FFF_FFFF,
        false => value.to_bits().into(),
    }
}

/// The low `bytes` bytes of `bits` as an unsigned integer.
pub(crate) fn unsigned(bits: u64, bytes: u8) -> u64 {
    match bytes {
        1 => bits as u8 as u64,
        2 => bits as u16 as u64,
        4 => bits as u32 as u64,
        _ => bits,
    }
}

/// The low `bytes` bytes of `bits` as a signed integer.
pub(crate) fn signed(bits: u64, bytes: u8) -> i64 {
    match bytes {
        1 => bits as i8 as i64,
        2 => bits as i16 as i64,
        4 => bits as i32 as i64,
        _ => bits as i64,
    }
}

/// A float of any type as f64; packed pairs (`f16x2`, `bf16x2`) are not supported.
pub(crate) fn double(ty: Ty, bits: u64) -> f64 {
    match ty {
        Ty::F16 => from_half(bits as u16),
        Ty::Bf16 => from_brain(bits as u16),
        Ty::F32 => single(bits).into(),
        _ => f64::from_bits(bits),
    }
}

fn small(ty: Ty) -> Format {
    match ty {
        Ty::F16 | Ty::F16x2 => HALF,
        _ => BRAIN,
    }
}

/// Applies `work` to both halves of packed pairs.
fn halves(inst: &Inst, s: [u64; 3], work: impl Fn(&Inst, [u64; 3]) -> Option<u64>) -> Option<u64> {
    let mut one = inst.clone();
    one.ty = match inst.ty {
        Ty::F16x2 => Ty::F16,
        _ => Ty::Bf16,
    };
    let low = work(&one, s)? & 0xFFFF;
    let high = work(&one, s.map(|s| s >> 16))? & 0xFFFF;
    Some(low | high << 16)
}

/// The result of an arithmetic instruction on one to three operands; `None` if the operation is not supported.
pub(crate) fn compute(inst: &Inst, s: [u64; 3]) -> Option<u64> {
    let [a, b, c] = s;
    match inst.ty {
        Ty::F32 => single_precision(inst, s),
        Ty::F64 => double_precision(inst, s),
        Ty::F16 | Ty::Bf16 => half_precision(inst, s),
        Ty::F16x2 | Ty::Bf16x2 => halves(inst, s, half_precision),
        Ty::U(n) | Ty::B(n) => unsigned_integer(inst, n, unsigned(a, n), unsigned(b, n), c),
        Ty::S(n) => signed_integer(inst, n, signed(a, n), signed(b, n), c),
        Ty::Pred => None,
    }
}

fn single_precision(inst: &Inst, [a, b, c]: [u64; 3]) -> Option<u64> {
    let [a, b, c] = [a, b, c].map(|bits| flushed(inst, single(bits)));
    let exact = |value: f64| Some(u64::from(narrow(value, SINGLE, inst.round)));
    if inst.round != Round::Nearest {
        let [a, b, c] = [a, b, c].map(f64::from);
        return match inst.op {
            Op::Add => exact(odd_sum(a, b)),
            Op::Sub => exact(odd_sum(a, -b)),
            Op::Mul => exact(a * b),
            Op::Fma => exact(odd_sum(a * b, c)),
            _ => None,
        };
    }
    Some(of_single(
        inst,
        match inst.op {
            Op::Add => a + b,
            Op::Sub => a - b,
            Op::Mul => a * b,
            Op::Fma => a.mul_add(b, c),
            Op::Div => a / b,
            Op::Abs => a.abs(),
            Op::Neg => -a,
            Op::Min if inst.nan && (a.is_nan() || b.is_nan()) => f32::NAN,
            Op::Max if inst.nan && (a.is_nan() || b.is_nan()) => f32::NAN,
            Op::Min => a.min(b),
            Op::Max => a.max(b),
            Op::Rcp => 1.0 / a,
            Op::Sqrt => a.sqrt(),
            Op::Rsqrt => (1.0 / f64::from(a).sqrt()) as f32,
            Op::Sin => f64::from(a).sin() as f32,
            Op::Cos => f64::from(a).cos() as f32,
            Op::Exp2 => f64::from(a).exp2() as f32,
            Op::Log2 => f64::from(a).log2() as f32,
            Op::Tanh => f64::from(a).tanh() as f32,
            _ => return None,
        },
    ))
}

fn double_precision(inst: &Inst, s: [u64; 3]) -> Option<u64> {
    let [a, b, c] = s.map(f64::from_bits);
    let value = match inst.op {
        Op::Add => sum_f64(a, b, inst.round),
        Op::Sub => sum_f64(a, -b, inst.round),
        _ if inst.round != Round::Nearest => return None,
        Op::Mul => a * b,
        Op::Fma => a.mul_add(b, c),
        Op::Div => a / b,
        Op::Abs => a.abs(),
        Op::Neg => -a,
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        // The approximate instructions compute only the upper 32 bits.
        Op::Rcp if inst.approx => f64::from_bits((1.0 / a).to_bits() & !0xFFFF_FFFF),
        Op::Rsqrt => f64::from_bits((1.0 / a.sqrt()).to_bits() & !0xFFFF_FFFF),
        Op::Rcp => 1.0 / a,
        Op::Sqrt => a.sqrt(),
        _ => return None,
    };
    Some(value.to_bits())
}

fn half_precision(inst: &Inst, [a, b, c]: [u64; 3]) -> Option<u64> {
    match inst.op {
        Op::Neg => return Some((a ^ 0x8000) & 0xFFFF),
        Op::Abs => return Some(a & 0x7FFF),
        _ => {}
    }
    let [a, b, c] = [a, b, c].map(|bits| double(inst.ty, bits));
    let value = match inst.op {
        Op::Add => odd_sum(a, b),
        Op::Sub => odd_sum(a, -b),
        Op::Mul => a * b,
        Op::Fma => odd_sum(a * b, c),
        Op::Min | Op::Max if inst.nan && (a.is_nan() || b.is_nan()) => f64::NAN,
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Exp2 => a.exp2(),
        Op::Tanh => a.tanh(),
        _ => return None,
    };
    let value = match inst.sat {
        true if value.is_nan() => 0.0,
        true => value.clamp(0.0, 1.0),
        false => value,
    };
    Some(narrow(value, small(inst.ty), inst.round).into())
}

fn unsigned_integer(inst: &Inst, n: u8, a: u64, b: u64, c: u64) -> Option<u64> {
    let bits = u32::from(n) * 8;
    Some(match inst.op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::Mad => a.wrapping_mul(b).wrapping_add(c),
        Op::MulHigh => ((u128::from(a) * u128::from(b)) >> bits) as u64,
        Op::MadHigh => (((u128::from(a) * u128::from(b)) >> bits) as u64).wrapping_add(c),
        Op::MulWide => a * b,
        Op::MadWide => (a * b).wrapping_add(c),
        // PTX does not specify the result of a division by zero; GPUs give all ones.
        Op::Div => a.checked_div(b).unwrap_or(u64::MAX),
        Op::Rem => a.checked_rem(b).unwrap_or(u64::MAX),
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::Not => !a,
        Op::Neg => a.wrapping_neg(),
        Op::Shl => match b as u32 {
            shift if shift < bits => a << shift,
            _ => 0,
        },
        Op::Shr => match b as u32 {
            shift if shift < bits => a >> shift,
            _ => 0,
        },
        Op::FunnelLeft => {
            let shift = shift_of(inst, c);
            ((b << 32 | a) << shift >> 32) as u32 as u64
        }
        Op::FunnelRight => ((b << 32 | a) >> shift_of(inst, c)) as u32 as u64,
        Op::PopCount => a.count_ones().into(),
        Op::LeadingZeros => (a.leading_zeros() - (64 - bits)).into(),
        Op::BitReverse => a.reverse_bits() >> (64 - bits),
        Op::BitExtract => extract(a, b, c, bits),
        Op::Permute => {
            let bytes = b << 32 | a;
            let one = |i: u64| {
                let select = c >> (4 * i) & 15;
                let byte = bytes >> (8 * (select & 7)) & 255;
                let byte = match select & 8 {
                    0 => byte,
                    _ if byte & 128 != 0 => 255,
                    _ => 0,
                };
                byte << (8 * i)
            };
            (0..4).map(one).sum()
        }
        _ => return None,
    })
}

fn shift_of(_inst: &Inst, c: u64) -> u64 {
    // Wraps at 32. The clamping form is not needed: nvcc uses it only with constants below 32.
    c & 31
}

fn extract(a: u64, start: u64, length: u64, bits: u32) -> u64 {
    let (start, length) = (start as u8 as u32, length as u8 as u32);
    let shifted = if start < bits { a >> start } else { 0 };
    match length {
        0 => 0,
        length if length < 64 => shifted & ((1 << length) - 1),
        _ => shifted,
    }
}

fn signed_integer(inst: &Inst, n: u8, a: i64, b: i64, c: u64) -> Option<u64> {
    let bits = u32::from(n) * 8;
    let high = || ((i128::from(a) * i128::from(b)) >> bits) as u64;
    Some(match inst.op {
        Op::Add if inst.sat => a.saturating_add(b).clamp(i32::MIN.into(), i32::MAX.into()) as u64,
        Op::Sub if inst.sat => a.saturating_sub(b).clamp(i32::MIN.into(), i32::MAX.into()) as u64,
        Op::Add => a.wrapping_add(b) as u64,
        Op::Sub => a.wrapping_sub(b) as u64,
        Op::Mul => a.wrapping_mul(b) as u64,
        Op::Mad => (a.wrapping_mul(b) as u64).wrapping_add(c),
        Op::MulHigh => high(),
        Op::MadHigh => high().wrapping_add(c),
        Op::MulWide => (a * b) as u64,
        Op::MadWide => ((a * b) as u64).wrapping_add(c),
        Op::Div => a.checked_div(b).unwrap_or(-1) as u64,
        Op::Rem if b == -1 => 0,
        Op::Rem => a.checked_rem(b).unwrap_or(-1) as u64,
        Op::Min => a.min(b) as u64,
        Op::Max => a.max(b) as u64,
        Op::Abs => a.wrapping_abs() as u64,
        Op::Neg => a.wrapping_neg() as u64,
        Op::Shr => (a >> (b as u32).min(bits - 1)) as u64,
        Op::BitExtract => {
            let (start, length) = (b as u8 as u32, c as u8 as u32);
            match length {
                0 => 0,
                _ => {
                    let shifted = a >> start.min(bits - 1);
                    let unused = 64 - length.min(64);
                    (shifted << unused >> unused) as u64
                }
            }
        }
        _ => return None,
    })
}

/// The instruction `bfi`: replaces `length` bits of `b`, from bit `start` on, by the low bits of `a`.
pub(crate) fn insert(a: u64, b: u64, start: u64, length: u64) -> u64 {
    let (start, length) = (start as u8 as u32, length as u8 as u32);
    if start >= 64 || length == 0 {
        return b;
    }
    let mask = if length >= 64 {
        u64::MAX
    } else {
        (1 << length) - 1
    };
    let mask = mask << start;
    (b & !mask) | (a << start & mask)
}

/// Whether a comparison of `a` and `b` holds; `unordered` comparisons are true if a number is NaN.
pub(crate) fn holds(compare: Compare, unordered: bool, ty: Ty, a: u64, b: u64) -> Option<bool> {
    use std::cmp::Ordering;
    let order = match ty {
        Ty::F16 | Ty::Bf16 | Ty::F32 | Ty::F64 => double(ty, a).partial_cmp(&double(ty, b)),
        Ty::U(n) | Ty::B(n) => Some(unsigned(a, n).cmp(&unsigned(b, n))),
        Ty::S(n) => Some(signed(a, n).cmp(&signed(b, n))),
        _ => return None,
    };
    Some(match (compare, order) {
        (Compare::Num, order) => order.is_some(),
        (Compare::Nan, order) => order.is_none(),
        (_, None) => unordered,
        (Compare::Eq, Some(order)) => order == Ordering::Equal,
        (Compare::Ne, Some(order)) => order != Ordering::Equal,
        (Compare::Lt, Some(order)) => order == Ordering::Less,
        (Compare::Le, Some(order)) => order != Ordering::Greater,
        (Compare::Gt, Some(order)) => order == Ordering::Greater,
        (Compare::Ge, Some(order)) => order != Ordering::Less,
    })
}
