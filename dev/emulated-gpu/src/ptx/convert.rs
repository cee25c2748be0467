//! The instruction `cvt`: conversions between all number types, with rounding and saturation.

use super::arith::{double, signed, unsigned};
use super::decode::{Inst, Ty};
use crate::float::{BRAIN, HALF, Round, SINGLE, narrow};

/// The result of a conversion; `None` for types that are not supported.
pub(crate) fn convert(inst: &Inst, bits: u64) -> Option<u64> {
    let to_float = inst.ty.is_float();
    if matches!(inst.ty, Ty::F16x2 | Ty::Bf16x2) || matches!(inst.from, Ty::F16x2 | Ty::Bf16x2) {
        return None;
    }
    Some(match inst.from {
        Ty::U(n) | Ty::B(n) if to_float => of_integer(inst, unsigned(bits, n).into()),
        Ty::S(n) if to_float => of_integer(inst, signed(bits, n).into()),
        Ty::U(n) | Ty::B(n) => to_integer(inst, unsigned(bits, n).into()),
        Ty::S(n) => to_integer(inst, signed(bits, n).into()),
        Ty::Pred => return None,
        _ => {
            let mut value = double(inst.from, bits);
            if inst.ftz && inst.from == Ty::F32 && (value as f32).is_subnormal() {
                value = 0f64.copysign(value);
            }
            if inst.whole || !to_float {
                value = whole(value, inst.round);
            }
            match inst.ty {
                Ty::U(n) | Ty::B(n) => integer_of(inst, value, 0, (1i128 << (8 * n)) - 1, n),
                Ty::S(n) => {
                    let half = 1i128 << (8 * n - 1);
                    integer_of(inst, value, -half, half - 1, n)
                }
                _ => {
                    if inst.sat {
                        value = if value.is_nan() {
                            0.0
                        } else {
                            value.clamp(0.0, 1.0)
                        };
                    }
                    float(inst, value)
                }
            }
        }
    })
}

/// Packs two f32 as f16 or bf16; `a` is in the upper half.
pub(crate) fn pair(inst: &Inst, a: u64, b: u64) -> Option<u64> {
    let format = match inst.ty {
        Ty::F16x2 => HALF,
        Ty::Bf16x2 => BRAIN,
        _ => return None,
    };
    let one = |bits| u64::from(narrow(double(Ty::F32, bits), format, inst.round));
    Some(one(a) << 16 | one(b))
}

fn whole(value: f64, round: Round) -> f64 {
    match round {
        Round::Nearest => value.round_ties_even(),
        Round::Zero => value.trunc(),
        Round::Down => value.floor(),
        Round::Up => value.ceil(),
    }
}

fn float(inst: &Inst, value: f64) -> u64 {
    let round = if inst.whole {
        Round::Nearest
    } else {
        inst.round
    };
    match inst.ty {
        Ty::F16 => narrow(value, HALF, round).into(),
        Ty::Bf16 => narrow(value, BRAIN, round).into(),
        Ty::F32 => {
            let bits = narrow(value, SINGLE, round);
            match inst.ftz && f32::from_bits(bits).is_subnormal() {
                true => u64::from(bits & 0x8000_0000),
                false => bits.into(),
            }
        }
        _ => value.to_bits(),
    }
}

fn of_integer(inst: &Inst, value: i128) -> u64 {
    // Beyond 53 bits, cut the number and make its last bit odd, so that it is rounded like the exact number.
    let magnitude = value.unsigned_abs();
    let extra = (128 - magnitude.leading_zeros()).saturating_sub(53);
    if extra == 0 || inst.ty != Ty::F64 {
        let cut = magnitude >> extra;
        let odd = u128::from(cut << extra != magnitude);
        let near = (cut | odd) as f64 * 2f64.powi(extra as i32);
        return float(inst, if value < 0 { -near } else { near });
    }
    (value as f64).to_bits()
}

fn to_integer(inst: &Inst, value: i128) -> u64 {
    let value = match (inst.sat, inst.ty) {
        (true, Ty::U(n)) => value.clamp(0, (1i128 << (8 * n)) - 1),
        (true, Ty::S(n)) => value.clamp(-(1i128 << (8 * n - 1)), (1i128 << (8 * n - 1)) - 1),
        _ => value,
    };
    match inst.ty {
        Ty::S(n) => signed(value as u64, n) as u64,
        Ty::U(n) | Ty::B(n) => unsigned(value as u64, n),
        _ => value as u64,
    }
}

fn integer_of(inst: &Inst, value: f64, low: i128, high: i128, bytes: u8) -> u64 {
    if value.is_nan() {
        let wide = inst.from == Ty::F64 || bytes == 8;
        return if wide {
            1 << (8 * u32::from(bytes) - 1)
        } else {
            0
        };
    }
    (value as i128).clamp(low, high) as u64
}
