//! The inverse of the error function.

/// The inverse of [`erf`], for `x` from -1 to 1; infinite at -1 and 1, NaN outside.
///
/// The initial value is from Giles (2010), "Approximating the erfinv function"; Newton steps on [`erf`] refine it.
pub(crate) fn erfinv(x: f64) -> f64 {
    if x.abs() >= 1.0 {
        return if x.abs() == 1.0 {
            x * f64::INFINITY
        } else {
            f64::NAN
        };
    }
    let w = -((1.0 - x) * (1.0 + x)).ln();
    let coefficients: &[f64] = if w < 5.0 {
        &[
            2.81022636e-08,
            3.43273939e-07,
            -3.5233877e-06,
            -4.39150654e-06,
            0.00021858087,
            -0.00125372503,
            -0.00417768164,
            0.246640727,
            1.50140941,
        ]
    } else {
        &[
            -0.000200214257,
            0.000100950558,
            0.00134934322,
            -0.00367342844,
            0.00573950773,
            -0.0076224613,
            0.00943887047,
            1.00167406,
            2.83297682,
        ]
    };
    let t = if w < 5.0 { w - 2.5 } else { w.sqrt() - 3.0 };
    let mut y = x * coefficients.iter().fold(0.0, |sum, c| sum * t + c);
    for _ in 0..2 {
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp();
        if slope > 0.0 {
            y -= (erf(y) - x) / slope;
        }
    }
    y
}

/// The error function, by its power series for `|x| < 3` and by the continued fraction of `erfc` otherwise.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        let mut n = 0.0;
        while term.abs() > sum * 1e-17 {
            n += 1.0;
            // erf(x) = 2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (2n+1)!!: all terms positive.
            term *= 2.0 * a * a / (2.0 * n + 1.0);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp() * sum
    } else {
        let mut fraction = a;
        for k in (1..60).rev() {
            fraction = a + f64::from(k) / 2.0 / fraction;
        }
        1.0 - (-a * a).exp() / (fraction * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // Origin: scipy 1.11 special.erfinv.
        for (x, expected) in [
            (0.5, 0.476_936_276_204_469_9),
            (-0.9, -1.163_087_153_676_674_2),
            (0.999, 2.326_753_765_513_525),
            (0.0, 0.0),
        ] {
            assert!((erfinv(x) - expected).abs() < 1e-13, "{x}: {}", erfinv(x));
        }
        assert_eq!(erfinv(1.0), f64::INFINITY);
        assert_eq!(erfinv(-1.0), f64::NEG_INFINITY);
        assert!(erfinv(1.5).is_nan());
    }
}
