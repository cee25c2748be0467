//! Rounding to f16, bf16 and f32 and in directed modes, from f64 and without rounding twice.

/// A rounding mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Round {
    /// To nearest, ties to even.
    #[default]
    Nearest,
    /// Toward zero.
    Zero,
    /// Toward negative infinity.
    Down,
    /// Toward positive infinity.
    Up,
}

/// `a + b` rounded to odd: an inexact sum is truncated and its last bit set to 1. Rounding it again to 50 bits or fewer
/// then gives the same as rounding the exact sum once.
pub(crate) fn odd_sum(a: f64, b: f64) -> f64 {
    let sum = a + b;
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    odd(sum, error)
}

fn odd(sum: f64, error: f64) -> f64 {
    if error == 0.0 || !sum.is_finite() || !error.is_finite() {
        return sum;
    }
    let beyond = (error < 0.0) != (sum < 0.0);
    let cut = if beyond {
        sum.to_bits() - 1
    } else {
        sum.to_bits()
    };
    f64::from_bits(cut | 1)
}

/// `a + b` in f64, rounded in the given mode.
pub(crate) fn sum_f64(a: f64, b: f64, round: Round) -> f64 {
    let sum = a + b;
    let b_part = sum - a;
    let error = (a - (sum - b_part)) + (b - b_part);
    directed(sum, error, round)
}

/// Changes a result that was rounded to nearest to another rounding mode. `value` is the rounded result, and `error` is
/// the exact result minus `value`.
pub(crate) fn directed(value: f64, error: f64, round: Round) -> f64 {
    if !value.is_finite() || error == 0.0 || !error.is_finite() {
        return value;
    }
    match round {
        Round::Nearest => value,
        Round::Down if error < 0.0 => value.next_down(),
        Round::Up if error > 0.0 => value.next_up(),
        Round::Zero if value > 0.0 && error < 0.0 => value.next_down(),
        Round::Zero if value < 0.0 && error > 0.0 => value.next_up(),
        _ => value,
    }
}

/// A binary floating-point format narrower than f64: the numbers of exponent and mantissa bits.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    exponent: u32,
    mantissa: u32,
}
pub(crate) const HALF: Format = Format {
    exponent: 5,
    mantissa: 10,
};
pub(crate) const BRAIN: Format = Format {
    exponent: 8,
    mantissa: 7,
};
pub(crate) const SINGLE: Format = Format {
    exponent: 8,
    mantissa: 23,
};

/// The bits of `x` rounded to a format.
pub(crate) fn narrow(x: f64, format: Format, round: Round) -> u32 {
    let Format { exponent, mantissa } = format;
    let bits = x.to_bits();
    let negative = bits >> 63 == 1;
    let sign = u32::from(negative) << (exponent + mantissa);
    let infinity = ((1u32 << exponent) - 1) << mantissa;
    if x.is_nan() {
        return match mantissa {
            // GPUs give this one NaN, all bits but the sign.
            23 => 0x7FFF_FFFF,
            _ => 0x7FFF,
        };
    }
    if x.is_infinite() {
        return sign | infinity;
    }
    if x == 0.0 {
        return sign;
    }
    let bias = (1i32 << (exponent - 1)) - 1;
    let (mut power, mut fraction) = (((bits >> 52) & 0x7FF) as i32 - 1023, bits & ((1 << 52) - 1));
    if power == -1023 {
        power = -1022;
    } else {
        fraction |= 1 << 52;
    }
    // The value is fraction * 2^(power - 52); keep `mantissa` bits, fewer for subnormal results.
    let lowest = 1 - bias;
    let drop = (52 - mantissa as i32) + (lowest - power).max(0);
    let field = if power >= lowest { power - lowest } else { 0 };
    let (kept, rest, half) = if drop > 62 {
        (0, 1, 2)
    } else {
        let drop = drop as u32;
        (
            fraction >> drop,
            fraction & ((1 << drop) - 1),
            1u64 << (drop - 1),
        )
    };
    let up = match round {
        Round::Nearest => rest > half || (rest == half && kept & 1 == 1),
        Round::Zero => false,
        Round::Down => negative && rest != 0,
        Round::Up => !negative && rest != 0,
    };
    // For a normal number the hidden bit of `kept` adds one to the field.
    let magnitude = ((field as u64) << mantissa) + kept + u64::from(up);
    if magnitude >= u64::from(infinity) {
        let largest = matches!(round, Round::Zero)
            || (round == Round::Down && !negative)
            || (round == Round::Up && negative);
        return sign | if largest { infinity - 1 } else { infinity };
    }
    sign | magnitude as u32
}

/// The value of an f16 with these bits.
pub(crate) fn from_half(bits: u16) -> f64 {
    let (sign, power, fraction) = (bits >> 15, (bits >> 10) & 31, f64::from(bits & 0x3FF));
    let magnitude = match power {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(i32::from(power) - 25),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

/// The value of a bf16 with these bits.
pub(crate) fn from_brain(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_and_bf16_comes_back() {
        for bits in 0..=u16::MAX {
            for (value, format) in [(from_half(bits), HALF), (from_brain(bits), BRAIN)] {
                if !value.is_nan() {
                    assert_eq!(narrow(value, format, Round::Nearest), u32::from(bits));
                }
            }
        }
    }

    #[test]
    fn f32_by_way_of_f64_is_what_the_processor_makes() {
        for i in 0..200_000u64 {
            let x =
                f64::from_bits(i.wrapping_mul(0x9E37_79B9_7F4A_7C15) & !(1 << 62) | (0x37 << 56));
            assert_eq!(
                narrow(x, SINGLE, Round::Nearest),
                (x as f32).to_bits(),
                "{x:e}"
            );
            let (down, up) = (narrow(x, SINGLE, Round::Down), narrow(x, SINGLE, Round::Up));
            let (down, up) = (f32::from_bits(down), f32::from_bits(up));
            assert!(f64::from(down) <= x && x <= f64::from(up), "{x:e}");
            assert!(down == up || down.next_up() == up);
        }
        assert_eq!(narrow(1e-60, SINGLE, Round::Up), 1);
        assert_eq!(narrow(1e60, SINGLE, Round::Down), f32::MAX.to_bits());
    }

    #[test]
    fn a_sum_is_rounded_once() {
        // 1 + 2^-11 is halfway between two f16; a slightly larger sum is rounded up.
        let tiny = 2f64.powi(-100);
        let sum = odd_sum(1.0 + 2f64.powi(-11), tiny);
        assert_eq!(
            from_half(narrow(sum, HALF, Round::Nearest) as u16),
            1.0 + 2f64.powi(-10)
        );
        assert_eq!(sum_f64(1.0, -tiny, Round::Zero), 1f64.next_down());
        assert_eq!(sum_f64(1.0, tiny, Round::Up), 1f64.next_up());
    }
}
