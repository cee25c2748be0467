//! Upsampling, padding, FIR filtering and downsampling of images in one differentiable op.

use std::sync::Arc;

use candle_core::{Result, Shape, Tensor, bail};

use crate::cpu::upfirdn::{Axis, Taps, filter_any, filter_f32};
#[cfg(any(feature = "cuda", test))]
use crate::cuda::plan::{Launch, Params, Plan};
use crate::op::{Op, apply};
use crate::value::Value;

/// A FIR filter for [`upfirdn2d`], usually a low-pass filter; constant, not trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The taps in row-major order; one row for a separable filter, which is applied along both axes.
    values: Vec<f32>,
    rows: usize,
    columns: usize,
    separable: bool,
}

impl Filter {
    /// The filter of StyleGAN2 for these taps: normalized to sum 1; a 2-D outer product for fewer than 8 taps,
    /// otherwise separable.
    pub fn new(taps: &[f32]) -> Filter {
        let sum: f32 = taps.iter().sum();
        let taps: Vec<f32> = taps.iter().map(|tap| tap / sum).collect();
        if taps.len() >= 8 {
            Filter::separable(&taps)
        } else {
            Filter::outer(&taps)
        }
    }

    /// The taps `[1, 3, 3, 1]`, normalized: the resampling filter of StyleGAN2.
    pub fn resample() -> Filter {
        Filter::new(&[1.0, 3.0, 3.0, 1.0])
    }

    /// A separable filter, which applies the same taps along both axes; not normalized.
    pub fn separable(taps: &[f32]) -> Filter {
        Filter {
            values: taps.to_vec(),
            rows: 1,
            columns: taps.len(),
            separable: true,
        }
    }

    /// A 2-D filter, the outer product of `taps` with themselves; not normalized.
    pub fn outer(taps: &[f32]) -> Filter {
        let values = taps
            .iter()
            .flat_map(|a| taps.iter().map(move |b| a * b))
            .collect();
        Filter {
            values,
            rows: taps.len(),
            columns: taps.len(),
            separable: false,
        }
    }

    /// The filter of one tap of 1, which changes nothing.
    pub fn identity() -> Filter {
        Filter::outer(&[1.0])
    }

    /// A filter from a tensor, not normalized: `[taps]` for a separable filter, `[rows, columns]` for a 2-D one.
    ///
    /// # Errors
    /// When the tensor is not 1-D or 2-D, or has no elements.
    pub fn from_tensor(taps: &Tensor) -> Result<Filter> {
        let values = taps
            .to_dtype(candle_core::DType::F32)?
            .flatten_all()?
            .to_vec1()?;
        match *taps.dims() {
            [columns] if columns > 0 => Ok(Filter {
                values,
                rows: 1,
                columns,
                separable: true,
            }),
            [rows, columns] if rows * columns > 0 => Ok(Filter {
                values,
                rows,
                columns,
                separable: false,
            }),
            _ => bail!(
                "a filter has shape [taps] or [rows, columns], not {:?}",
                taps.shape()
            ),
        }
    }

    /// The taps as a tensor on the CPU: `[taps]` for a separable filter, `[rows, columns]` for a 2-D one.
    ///
    /// # Errors
    /// When candle's op fails, for example for an unsupported number type.
    pub fn tensor(&self) -> Result<Tensor> {
        let device = candle_core::Device::Cpu;
        if self.separable {
            Tensor::from_slice(&self.values, self.columns, &device)
        } else {
            Tensor::from_slice(&self.values, (self.rows, self.columns), &device)
        }
    }

    /// The number of taps along x, the horizontal axis.
    pub fn width(&self) -> usize {
        self.columns
    }

    /// The number of taps along y, the vertical axis; equal to [`Filter::width`] for a separable filter.
    pub fn height(&self) -> usize {
        if self.separable {
            self.columns
        } else {
            self.rows
        }
    }

    /// The taps to be applied as a cross-correlation, multiplied by the gain; mirrored unless `flip`.
    fn taps(&self, flip: bool, gain: f64) -> Taps {
        let mut values: Vec<f64> = self.values.iter().map(|&v| f64::from(v)).collect();
        if !flip {
            values.reverse();
        }
        if self.separable {
            let values: Vec<f64> = values.iter().map(|v| v * gain.abs().sqrt()).collect();
            let y = values.iter().map(|v| v * gain.signum()).collect();
            return Taps::Separable { x: values, y };
        }
        factor(&values, self.rows, self.columns, gain).unwrap_or_else(|| {
            let values = values.iter().map(|v| v * gain).collect();
            Taps::Full {
                values,
                rows: self.rows,
                columns: self.columns,
            }
        })
    }
}

/// Factors a matrix of taps, times `gain`, into 1-D taps along x and y; `None` unless the matrix has rank one up to f32
/// rounding.
fn factor(values: &[f64], rows: usize, columns: usize, gain: f64) -> Option<Taps> {
    let (pivot, largest) = values
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    if *largest == 0.0 {
        return None;
    }
    let x: Vec<f64> = values[pivot / columns * columns..][..columns].to_vec();
    let y: Vec<f64> = (0..rows)
        .map(|row| values[row * columns + pivot % columns] / largest)
        .collect();
    let fits = (0..rows * columns)
        .all(|i| (values[i] - y[i / columns] * x[i % columns]).abs() <= 2e-7 * largest.abs());
    fits.then(|| Taps::Separable {
        x,
        y: y.iter().map(|v| v * gain).collect(),
    })
}

/// Options of [`upfirdn2d`]. `up` and `down` are `[x, y]`; `padding` is `[left, right, top, bottom]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpFirDn2dOptions {
    /// Upsampling factors; upsampling inserts zeros.
    pub up: [usize; 2],
    /// Downsampling factors: every `down`-th pixel of the filtered image is kept, starting with the first.
    pub down: [usize; 2],
    /// Zeros added around the upsampled image, in its pixels; negative values crop.
    pub padding: [isize; 4],
    /// Whether the filter is applied as it is (cross-correlation); `false` mirrors it (convolution).
    pub flip_filter: bool,
    /// A factor on the result.
    pub gain: f64,
}

impl Default for UpFirDn2dOptions {
    fn default() -> Self {
        UpFirDn2dOptions {
            up: [1; 2],
            down: [1; 2],
            padding: [0; 4],
            flip_filter: false,
            gain: 1.0,
        }
    }
}

/// Upsamples, pads, filters and downsamples a batch of images, in that order. Differentiable to any order.
///
/// Upsampling inserts zeros. The padding is counted in upsampled pixels; negative padding crops.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`, f32 or f64
/// - result: `[batch, channels, (height * up + top + bottom - taps) / down + 1, ...]`
///
/// # Errors
/// When the padded image is smaller than the filter, or the number type is not supported.
///
/// As in StyleGAN2 (arXiv:1912.04958); along each axis this corresponds to `scipy.signal.upfirdn`.
pub fn upfirdn2d(x: &Tensor, filter: &Filter, options: &UpFirDn2dOptions) -> Result<Tensor> {
    let op = resolve(x, filter, options)?;
    if op.is_identity() {
        return Ok(x.clone());
    }
    apply([x], op)
}

impl Value {
    /// Upsamples, pads, filters and downsamples: [`upfirdn2d`] recorded in the graph.
    ///
    /// # Errors
    /// Same as for [`upfirdn2d`].
    pub fn upfirdn2d(&self, filter: &Filter, options: &UpFirDn2dOptions) -> Result<Value> {
        let op = resolve(self.tensor(), filter, options)?;
        if op.is_identity() {
            return Ok(self.clone());
        }
        let adjoint = op.adjoint();
        self.linear_map(|x| apply([x], op), |dy| apply([dy], adjoint))
    }
}

/// Checks the options against the sizes of `x`, and returns the op with its sizes and taps.
fn resolve(x: &Tensor, filter: &Filter, options: &UpFirDn2dOptions) -> Result<UpFirDn> {
    let (_, _, height, width) = x.dims4()?;
    let UpFirDn2dOptions {
        up,
        down,
        padding,
        flip_filter,
        gain,
    } = *options;
    if up.contains(&0) || down.contains(&0) {
        bail!("upfirdn2d: up {up:?} and down {down:?} must be at least 1");
    }
    let axis = |len: usize, i: usize, taps: usize| -> Result<Axis> {
        let padded = (len * up[i]) as isize + padding[2 * i] + padding[2 * i + 1];
        if padded < taps as isize || len == 0 {
            bail!(
                "upfirdn2d: x {:?} with padding {padding:?} is smaller than the filter of {taps} taps",
                x.shape()
            );
        }
        let out_len = (padded - taps as isize) as usize / down[i] + 1;
        Ok(Axis {
            len,
            out_len,
            up: up[i],
            down: down[i],
            pad: padding[2 * i],
        })
    };
    Ok(UpFirDn {
        x: axis(width, 0, filter.width())?,
        y: axis(height, 1, filter.height())?,
        taps: Arc::new(filter.taps(flip_filter, gain)),
    })
}

/// The op with all sizes and taps computed; its gradient is another op of this type.
#[derive(Clone)]
struct UpFirDn {
    x: Axis,
    y: Axis,
    taps: Arc<Taps>,
}

impl UpFirDn {
    fn is_identity(&self) -> bool {
        let plain = |axis: &Axis| {
            axis.up == 1 && axis.down == 1 && axis.pad == 0 && axis.len == axis.out_len
        };
        let one = match &*self.taps {
            Taps::Separable { x, y } => x.len() == 1 && y.len() == 1 && x[0] * y[0] == 1.0,
            Taps::Full { values, .. } => values.as_slice() == [1.0],
        };
        one && plain(&self.x) && plain(&self.y)
    }

    fn adjoint(&self) -> UpFirDn {
        let (taps_x, taps_y, taps) = match &*self.taps {
            Taps::Separable { x, y } => {
                let reversed = |v: &[f64]| v.iter().rev().copied().collect();
                (
                    x.len(),
                    y.len(),
                    Taps::Separable {
                        x: reversed(x),
                        y: reversed(y),
                    },
                )
            }
            Taps::Full {
                values,
                rows,
                columns,
            } => {
                let values = values.iter().rev().copied().collect();
                (
                    *columns,
                    *rows,
                    Taps::Full {
                        values,
                        rows: *rows,
                        columns: *columns,
                    },
                )
            }
        };
        let axis = |axis: &Axis, taps: usize| Axis {
            len: axis.out_len,
            out_len: axis.len,
            up: axis.down,
            down: axis.up,
            pad: taps as isize - 1 - axis.pad,
        };
        UpFirDn {
            x: axis(&self.x, taps_x),
            y: axis(&self.y, taps_y),
            taps: Arc::new(taps),
        }
    }
}

impl Op<1> for UpFirDn {
    const NAME: &'static str = "upfirdn2d";

    fn shape(&self, [x]: [&Shape; 1]) -> Result<Shape> {
        let (n, c, _, _) = x.dims4()?;
        Ok((n, c, self.y.out_len, self.x.out_len).into())
    }

    fn run_f32(&self, [x]: [&[f32]; 1], [shape]: [&Shape; 1]) -> Vec<f32> {
        let planes = shape.dims()[..2].iter().product();
        filter_f32(x, planes, &self.x, &self.y, &self.taps)
    }

    fn run_f64(&self, [x]: [&[f64]; 1], [shape]: [&Shape; 1]) -> Vec<f64> {
        let planes = shape.dims()[..2].iter().product();
        filter_any(x, planes, &self.x, &self.y, &self.taps)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, [x]: [&Tensor; 1]) -> Result<Plan> {
        let (n, c, _, _) = x.dims4()?;
        let (x, y) = (&self.x, &self.y);
        let single = |taps: &[f64]| taps.iter().map(|&tap| tap as f32).collect::<Vec<_>>();
        let (taps_x, taps_y, separable, taps) = match &*self.taps {
            Taps::Separable { x, y } => (x.len(), y.len(), 1, single(&[&x[..], y].concat())),
            Taps::Full {
                values,
                rows,
                columns,
            } => (*columns, *rows, 0, single(values)),
        };
        let sizes = [
            x.len, y.len, x.out_len, y.out_len, x.up, y.up, x.down, y.down,
        ];
        let mut integers: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
        integers.extend([x.pad as i64, y.pad as i64]);
        integers.extend([taps_x as i64, taps_y as i64, separable]);
        Ok(Plan::Launch(Launch {
            kernel: "upfirdn2d",
            params: Params::signed(n * c * y.out_len * x.out_len, &integers, &taps)?,
            parts: 1,
            zeroed: false,
        }))
    }

    fn gradients(&self, _: [&Tensor; 1], dy: &Tensor, _: [bool; 1]) -> Result<[Option<Tensor>; 1]> {
        Ok([Some(apply([dy], self.adjoint())?)])
    }
}

impl UpFirDn2dOptions {
    /// Options that filter without resampling. `padding`, `[left, right, top, bottom]`, is added to the padding that
    /// preserves the image size.
    pub fn filtering(filter: &Filter, padding: [isize; 4]) -> Self {
        let (w, h) = (filter.width() as isize, filter.height() as isize);
        let keep = [w / 2, (w - 1) / 2, h / 2, (h - 1) / 2];
        Self {
            padding: std::array::from_fn(|side| padding[side] + keep[side]),
            ..Self::default()
        }
    }

    /// Options that upsample by the factors `up`, `[x, y]`, with a gain that preserves the brightness. `padding`, in
    /// pixels of the upsampled image, is added to the padding that multiplies the image size by exactly `up`.
    pub fn upsampling(filter: &Filter, up: [usize; 2], padding: [isize; 4]) -> Self {
        Self {
            up,
            padding: upsample_padding(filter, up, padding),
            gain: (up[0] * up[1]) as f64,
            ..Self::default()
        }
    }

    /// Options that downsample by the factors `down`, `[x, y]`. `padding`, in pixels of the image before downsampling,
    /// is added to the padding that divides the image size by exactly `down`.
    pub fn downsampling(filter: &Filter, down: [usize; 2], padding: [isize; 4]) -> Self {
        Self {
            down,
            padding: downsample_padding(filter, down, padding),
            ..Self::default()
        }
    }
}

/// `padding` plus the padding of the upsampled image that keeps samples centered, in the order left, right, top,
/// bottom.
pub(crate) fn upsample_padding(filter: &Filter, up: [usize; 2], padding: [isize; 4]) -> [isize; 4] {
    let (w, h) = (filter.width() as isize, filter.height() as isize);
    let (ux, uy) = (up[0] as isize, up[1] as isize);
    [
        padding[0] + (w + ux - 1).div_euclid(2),
        padding[1] + (w - ux).div_euclid(2),
        padding[2] + (h + uy - 1).div_euclid(2),
        padding[3] + (h - uy).div_euclid(2),
    ]
}

/// `padding` plus the padding before downsampling that keeps samples centered, in the order left, right, top, bottom.
pub(crate) fn downsample_padding(
    filter: &Filter,
    down: [usize; 2],
    padding: [isize; 4],
) -> [isize; 4] {
    let (w, h) = (filter.width() as isize, filter.height() as isize);
    let (dx, dy) = (down[0] as isize, down[1] as isize);
    [
        padding[0] + (w - dx + 1).div_euclid(2),
        padding[1] + (w - dx).div_euclid(2),
        padding[2] + (h - dy + 1).div_euclid(2),
        padding[3] + (h - dy).div_euclid(2),
    ]
}
