//! The fast f32 paths against the plain f64 ones, on every instruction set.

mod common;

use candle_core::{DType, Result, Tensor};
use common::{noise, worst};
use ops::{
    Activation, BiasActOptions, Filter, Isa, UpFirDn2dOptions, add_noise, bias_act, channel_dot,
    force_isa, scale_channels, upfirdn2d,
};

/// The slow reference on one plane at a time: `y[oy, ox] = sum of taps * x`, directly from the definition.
fn slow_upfirdn2d(x: &Tensor, taps: &[Vec<f64>], o: &UpFirDn2dOptions) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let [left, right, top, bottom] = o.padding;
    let (kh, kw) = (taps.len() as isize, taps[0].len() as isize);
    let out = |len: usize, up: usize, down: usize, pad: isize, k: isize| {
        ((len * up) as isize + pad - k) as usize / down + 1
    };
    let (oh, ow) = (
        out(h, o.up[1], o.down[1], top + bottom, kh),
        out(w, o.up[0], o.down[0], left + right, kw),
    );
    let x = x.reshape((n * c, h, w))?.to_vec3::<f64>()?;
    let mut y = Vec::new();
    for plane in &x {
        for oy in 0..oh {
            for ox in 0..ow {
                let mut sum = 0.0;
                for ky in 0..kh {
                    for kx in 0..kw {
                        let uy = (oy * o.down[1]) as isize + ky - top;
                        let ux = (ox * o.down[0]) as isize + kx - left;
                        if uy < 0
                            || ux < 0
                            || uy % o.up[1] as isize != 0
                            || ux % o.up[0] as isize != 0
                        {
                            continue;
                        }
                        let (iy, ix) = (uy as usize / o.up[1], ux as usize / o.up[0]);
                        if iy < h && ix < w {
                            let tap = if o.flip_filter {
                                taps[ky as usize][kx as usize]
                            } else {
                                taps[(kh - 1 - ky) as usize][(kw - 1 - kx) as usize]
                            };
                            sum += tap * plane[iy][ix];
                        }
                    }
                }
                y.push(sum * o.gain);
            }
        }
    }
    Tensor::from_vec(y, (n, c, oh, ow), &candle_core::Device::Cpu)
}

#[test]
fn fast_paths_agree_on_every_instruction_set() -> Result<()> {
    let options = [
        UpFirDn2dOptions {
            padding: [2, 1, 1, 2],
            ..Default::default()
        },
        UpFirDn2dOptions {
            down: [2, 2],
            padding: [1, 1, 1, 1],
            gain: 0.5,
            ..Default::default()
        },
        UpFirDn2dOptions {
            up: [2, 2],
            padding: [2, 1, 2, 1],
            gain: 4.0,
            flip_filter: true,
            ..Default::default()
        },
        UpFirDn2dOptions {
            up: [3, 2],
            down: [2, 3],
            padding: [12, -2, 7, 11],
            ..Default::default()
        },
    ];
    let filters = [
        Filter::resample(),
        Filter::new(&[1.0, 2.0, 4.0]),
        Filter::separable(&[0.1, -0.2, 0.3, 0.4, 0.9, -0.1, 0.2, 0.1, 0.3, 0.1, 0.4, 0.2]),
        Filter::from_tensor(&noise(&[3, 4], 9)?)?,
    ];
    for isa in Isa::available() {
        force_isa(Some(isa));
        for filter in &filters {
            let taps = filter.tensor()?.to_dtype(DType::F64)?;
            let taps = match taps.rank() {
                1 => {
                    let row = taps.to_vec1::<f64>()?;
                    row.iter()
                        .map(|a| row.iter().map(|b| a * b).collect())
                        .collect()
                }
                _ => taps.to_vec2::<f64>()?,
            };
            for o in &options {
                for (h, w) in [(12, 16), (19, 33), (40, 70)] {
                    let x = noise(&[2, 3, h, w], 1)?;
                    let slow = slow_upfirdn2d(&x, &taps, o)?;
                    assert!(
                        worst(&upfirdn2d(&x, filter, o)?, &slow)? < 1e-12,
                        "f64 {filter:?} {o:?}"
                    );
                    let fast = upfirdn2d(&x.to_dtype(DType::F32)?, filter, o)?;
                    assert!(
                        worst(&fast, &slow)? < 2e-6,
                        "{isa:?} {filter:?} {o:?} {h}x{w}"
                    );
                }
            }
        }
        let single = |t: &Tensor| t.to_dtype(DType::F32);
        let (x, z, s) = (
            noise(&[3, 5, 9, 11], 1)?,
            noise(&[3, 5, 9, 11], 2)?,
            noise(&[3, 5], 3)?,
        );
        assert!(
            worst(
                &scale_channels(&single(&x)?, &single(&s)?)?,
                &scale_channels(&x, &s)?
            )? < 1e-6
        );
        assert!(
            worst(
                &scale_channels(&x, &s)?,
                &x.broadcast_mul(&s.reshape((3, 5, 1, 1))?)?
            )? < 1e-12
        );
        assert!(
            worst(
                &channel_dot(&single(&x)?, &single(&z)?)?,
                &(&x * &z)?.sum((2, 3))?
            )? < 2e-6
        );
        for planes in [1, 3] {
            let plane = noise(&[planes, 1, 9, 11], 4)?;
            let want = x.broadcast_add(&plane)?;
            assert!(worst(&add_noise(&x, &plane)?, &want)? < 1e-12);
            assert!(worst(&add_noise(&single(&x)?, &single(&plane)?)?, &want)? < 1e-6);
        }
        let bias = noise(&[5], 5)?;
        for activation in [
            Activation::Linear,
            Activation::Lrelu,
            Activation::Swish,
            Activation::Selu,
        ] {
            let o = BiasActOptions {
                activation,
                clamp: Some(0.9),
                ..Default::default()
            };
            let fast = bias_act(&single(&x)?, Some(&single(&bias)?), &o)?;
            assert!(
                worst(&fast, &bias_act(&x, Some(&bias), &o)?)? < 1e-6,
                "{isa:?} {activation:?}"
            );
        }
    }
    force_isa(None);
    Ok(())
}

#[test]
fn inputs_that_do_not_fit_are_errors() -> Result<()> {
    let x = noise(&[1, 2, 4, 4], 1)?;
    assert!(
        upfirdn2d(
            &x,
            &Filter::separable(&[1.0; 9]),
            &UpFirDn2dOptions::default()
        )
        .is_err()
    );
    assert!(
        upfirdn2d(
            &x,
            &Filter::resample(),
            &UpFirDn2dOptions {
                up: [0, 1],
                ..Default::default()
            }
        )
        .is_err()
    );
    assert!(bias_act(&x, Some(&noise(&[3], 1)?), &BiasActOptions::default()).is_err());
    assert!(scale_channels(&x, &noise(&[2, 2], 1)?).is_err());
    assert!(Filter::from_tensor(&x).is_err());
    Ok(())
}
