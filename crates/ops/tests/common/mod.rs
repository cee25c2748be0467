//! Pseudorandom inputs and finite differences for the tests of this crate.
#![allow(dead_code)]

use candle_core::{Device, Result, Tensor, Var};
use ops::{Dual, Gradients, Value};

/// Pseudorandom values in -1..1, the same for the same seed.
pub fn noise(shape: &[usize], seed: u64) -> Result<Tensor> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as f64 / (1u64 << 30) as f64 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// The largest absolute difference, divided by the largest absolute value of `want`.
pub fn worst(got: &Tensor, want: &Tensor) -> Result<f64> {
    assert_eq!(got.dims(), want.dims());
    let (got, want) = (
        got.to_dtype(candle_core::DType::F64)?,
        want.to_dtype(candle_core::DType::F64)?,
    );
    let scale = want
        .abs()?
        .flatten_all()?
        .max(0)?
        .to_scalar::<f64>()?
        .max(1e-30);
    Ok((got - want)?
        .abs()?
        .flatten_all()?
        .max(0)?
        .to_scalar::<f64>()?
        / scale)
}

fn scalar(value: &Value) -> Result<f64> {
    value.tensor().to_scalar()
}

/// The scalar `<f(inputs), dy>` of f64 inputs.
fn objective(f: &impl Fn(&[Dual]) -> Result<Dual>, inputs: &[Dual], dy: &Tensor) -> Result<Dual> {
    f(inputs)?.linear(|y| y.weighted_sum(dy))
}

/// Checks first and second derivatives of `f` at `inputs` (f64) against central differences.
///
/// First order: the gradient's product `<grad, u>` with a fixed direction `u`, for each input. Second order: the
/// gradients of the tangent along `v` in all inputs, against differences of the tangent. The tangent itself is compared
/// with differences of the value.
pub fn check_derivatives(f: impl Fn(&[Dual]) -> Result<Dual>, inputs: &[Tensor]) -> Result<()> {
    let vars = inputs
        .iter()
        .map(Var::from_tensor)
        .collect::<Result<Vec<_>>>()?;
    let v = inputs
        .iter()
        .enumerate()
        .map(|(i, x)| noise(x.dims(), 100 + i as u64))
        .collect::<Result<Vec<_>>>()?;
    let plain: Vec<Dual> = vars.iter().map(|x| x.as_tensor().into()).collect();
    let y = f(&plain)?.primal;
    let dy = noise(y.dims(), 7)?;
    let with = |inputs: &[Tensor]| -> Result<Dual> {
        let duals = inputs
            .iter()
            .zip(&v)
            .map(|(x, v)| Dual::new(x, v))
            .collect::<Result<Vec<_>>>()?;
        objective(&f, &duals, &dy)
    };

    let first = objective(&f, &plain, &dy)?.primal.backward()?;
    let moving = vars
        .iter()
        .zip(&v)
        .map(|(x, v)| Dual::new(x.as_tensor(), v))
        .collect::<Result<Vec<_>>>()?;
    let tangent = objective(&f, &moving, &dy)?.tangent_or_zeros()?;
    let second = tangent.backward()?;
    let step = 1e-6;
    let mut along_all = 0.0;
    for (i, x) in inputs.iter().enumerate() {
        let u = noise(x.dims(), 200 + i as u64)?;
        let at = |by: f64| -> Result<Dual> {
            let mut moved = inputs.to_vec();
            moved[i] = (x + (&u * by)?)?;
            with(&moved)
        };
        let (up, down) = (at(step)?, at(-step)?);
        let difference =
            |a: &Value, b: &Value| -> Result<f64> { Ok((scalar(a)? - scalar(b)?) / (2.0 * step)) };
        let along = |found: &Gradients, u: &Tensor| -> Result<f64> {
            found
                .get(&vars[i])
                .map_or(Ok(0.0), |g| (g * u)?.sum_all()?.to_scalar())
        };
        close(
            "first order",
            i,
            along(&first, &u)?,
            difference(&up.primal, &down.primal)?,
        );
        close(
            "second order",
            i,
            along(&second, &u)?,
            difference(&up.tangent_or_zeros()?, &down.tangent_or_zeros()?)?,
        );
        along_all += along(&first, &v[i])?;
    }
    close("tangent", 0, scalar(&tangent)?, along_all);
    Ok(())
}

fn close(what: &str, input: usize, exact: f64, finite: f64) {
    assert!(
        (exact - finite).abs() <= 2e-6 * finite.abs().max(1.0),
        "{what} of input {input}: {exact} against {finite}"
    );
}
