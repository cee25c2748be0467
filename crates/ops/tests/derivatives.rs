//! First and second derivatives of every op against finite differences in f64.

mod common;

use candle_core::{Result, Var};
use common::{check_derivatives, noise};
use ops::{
    Activation, BiasActOptions, Conv2dOptions, Dual, Filter, ModulatedConv2dOptions,
    ResampleOptions, UpFirDn2dOptions,
};

#[test]
fn convolutions() -> Result<()> {
    for (stride, padding, groups) in [(1, 1, 1), (2, 0, 1), (2, 1, 2), (1, 2, 2)] {
        let options = Conv2dOptions {
            stride,
            padding,
            groups,
            gain: 0.8,
        };
        let inputs = [noise(&[2, 4, 6, 5], 1)?, noise(&[6, 4 / groups, 3, 3], 2)?];
        check_derivatives(|i| i[0].conv2d(&i[1], &options), &inputs)?;
        let inputs = [noise(&[2, 6, 4, 5], 1)?, noise(&[6, 4 / groups, 3, 3], 2)?];
        check_derivatives(|i| i[0].conv_transpose2d(&i[1], &options), &inputs)?;
    }
    Ok(())
}

#[test]
fn upfirdn2d() -> Result<()> {
    let lopsided = Filter::from_tensor(&noise(&[3, 5], 3)?)?;
    for (filter, up, down, padding) in [
        (Filter::resample(), [1, 1], [2, 2], [1, 1, 1, 1]),
        (Filter::resample(), [2, 2], [1, 1], [2, 1, 2, 1]),
        (lopsided, [2, 3], [3, 2], [3, -1, 4, 2]),
        (
            Filter::separable(&[0.1, 0.5, -0.2, 0.3, 0.2, 0.1, 0.0, 0.4]),
            [1, 2],
            [2, 1],
            [4, 4, 5, 3],
        ),
    ] {
        let options = UpFirDn2dOptions {
            up,
            down,
            padding,
            flip_filter: false,
            gain: 1.7,
        };
        check_derivatives(
            |i| i[0].upfirdn2d(&filter, &options),
            &[noise(&[2, 3, 7, 6], 1)?],
        )?;
    }
    Ok(())
}

#[test]
fn bias_act_with_every_activation() -> Result<()> {
    use Activation::*;
    for activation in [
        Linear, Relu, Lrelu, Tanh, Sigmoid, Elu, Selu, Softplus, Swish,
    ] {
        for clamp in [None, Some(0.4)] {
            let options = BiasActOptions {
                activation,
                clamp,
                gain: Some(1.3),
                ..Default::default()
            };
            let inputs = [noise(&[2, 3, 4, 2], 1)?, noise(&[3], 2)?];
            check_derivatives(|i| i[0].bias_act(Some(&i[1]), &options), &inputs)?;
        }
    }
    Ok(())
}

#[test]
fn resampling_convolutions() -> Result<()> {
    let filter = Filter::resample();
    for (up, down, kernel, padding) in [
        (1, 1, 3, [1; 4]),
        (2, 1, 3, [1; 4]),
        (1, 2, 3, [1; 4]),
        (2, 2, 3, [1, 2, 0, 1]),
        (1, 2, 1, [0; 4]),
        (2, 1, 1, [0; 4]),
        (1, 1, 3, [2, -1, 0, 1]),
    ] {
        for flip_weight in [true, false] {
            let options = ResampleOptions {
                up,
                down,
                padding,
                flip_weight,
                gain: 0.6,
                ..Default::default()
            };
            let inputs = [noise(&[1, 3, 6, 6], 1)?, noise(&[4, 3, kernel, kernel], 2)?];
            check_derivatives(
                |i| i[0].conv2d_resample(&i[1], Some(&filter), &options),
                &inputs,
            )?;
        }
    }
    Ok(())
}

#[test]
fn modulated_convolution() -> Result<()> {
    let filter = Filter::resample();
    for (up, demodulate) in [(1, true), (2, true), (1, false)] {
        let options = ModulatedConv2dOptions {
            up,
            padding: [1; 4],
            filter: Some(&filter),
            demodulate,
            flip_weight: up == 1,
            ..Default::default()
        };
        let size = 4 * up;
        let inputs = [
            noise(&[2, 3, 4, 4], 1)?,
            noise(&[5, 3, 3, 3], 2)?,
            noise(&[2, 3], 3)?,
            noise(&[1, 1, size, size], 4)?,
        ];
        check_derivatives(
            |i| i[0].modulated_conv2d(&i[1], &i[2], Some(&i[3]), &options),
            &inputs,
        )?;
    }
    Ok(())
}

#[test]
fn arithmetic_of_duals() -> Result<()> {
    let inputs = [
        noise(&[2, 3], 1)?,
        (noise(&[2, 3], 2)? + 2.0)?,
        noise(&[3, 4], 3)?,
        noise(&[1, 3], 4)?,
    ];
    check_derivatives(
        |i| {
            let a = i[0]
                .div(&i[1])?
                .add(&i[1].sqrt()?)?
                .sub(&i[0].sqr()?.scale(0.3)?.shift(1.0)?)?;
            let b = a
                .mul(&i[1])?
                .broadcast_add(&i[3])?
                .broadcast_mul(&i[3])?
                .matmul(&i[2])?;
            let b = b.broadcast_div(&b.sqr()?.mean_keepdim(&[1])?.shift(1.0)?)?;
            Dual::cat(&[&b, &b.flip(&[0])?.narrow(1, 1, 3)?], 1)?
                .transpose(0, 1)?
                .reshape((2, 7))
        },
        &inputs,
    )
}

#[test]
fn the_self_check_passes() -> Result<()> {
    ops::second_order::self_check()
}

/// A stack of layers whose tangent depends on the weights only through piecewise constant slopes.
#[test]
fn a_tangent_alone_can_be_differentiated() -> Result<()> {
    let options = Conv2dOptions {
        padding: 1,
        ..Default::default()
    };
    let lrelu = BiasActOptions {
        activation: Activation::Lrelu,
        clamp: Some(2.0),
        ..Default::default()
    };
    let inputs = [
        noise(&[2, 3, 5, 5], 1)?,
        noise(&[4, 3, 3, 3], 2)?,
        noise(&[4], 3)?,
        noise(&[3, 4, 3, 3], 4)?,
        noise(&[3], 5)?,
    ];
    let weights = inputs[1..]
        .iter()
        .map(Var::from_tensor)
        .collect::<Result<Vec<_>>>()?;
    let x = Dual::new(&inputs[0], noise(&[2, 3, 5, 5], 6)?)?;
    let w = |i: usize| Dual::from(weights[i].as_tensor());
    let y = x
        .conv2d(&w(0), &options)?
        .bias_act(Some(&w(1)), &lrelu)?
        .conv2d(&w(2), &options)?
        .bias_act(Some(&w(3)), &lrelu)?;
    let grads = y.tangent_or_zeros()?.sum_all()?.backward()?;
    assert!(grads.get(&weights[0]).is_some() && grads.get(&weights[2]).is_some());
    Ok(())
}
