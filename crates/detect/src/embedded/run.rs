//! The network on slices: pictures on canvases of one size, on the calling thread.
//!
//! An ONNX runtime multiplies matrices; our convolutions (Winograd's for kernels of 3x3) need half the time for the same
//! numbers (`graph` is the network for such a runtime, and the yardstick in the tests).

use std::collections::HashMap;
use std::sync::Mutex;

use image::RgbImage;
use kernels::conv::{self, ConvGeometry, Direction, Prepared, Scales};
use kernels::{ConvAlgorithm, parallel};

use super::network::{INPUT, LAYERS, LEVELS, Operation, padding};
use super::weights::Weights;
use crate::onnx::Output;

/// Numbers of one layer, `[pictures, channels, height, width]`.
struct Map {
    /// At the start of it; the rest is left from earlier runs.
    buffer: Vec<f32>,
    pictures: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl Map {
    fn plane(&self) -> usize {
        self.height * self.width
    }

    fn len(&self) -> usize {
        self.pictures * self.channels * self.plane()
    }

    fn values(&self) -> &[f32] {
        &self.buffer[..self.len()]
    }

    fn values_mut(&mut self) -> &mut [f32] {
        let len = self.len();
        &mut self.buffer[..len]
    }
}

/// The layers with their weights as the kernels want them.
pub(super) struct Network {
    steps: Vec<Step>,
    /// The results that make up the levels.
    levels: Vec<usize>,
    /// Zeros that the first convolution has around the picture.
    zeros: usize,
    /// Buffers that no run is using.
    idle: Mutex<Vec<Buffers>>,
}

/// A layer; result 0 is the picture, result `i + 1` that of step `i`.
struct Step {
    what: What,
    last_read_here: Vec<usize>,
}

enum What {
    Convolution(Box<Convolution>),
    Add([usize; 2]),
    AddCoarse { fine: usize, coarse: usize },
}

struct Convolution {
    input: usize,
    /// Sizes for a picture of no particular size.
    geometry: ConvGeometry,
    weights: Vec<f32>,
    prepared: Prepared,
    bias: Vec<f32>,
    is_rectified: bool,
}

/// Memory from earlier runs: fresh pages would cost a run a fifth of its time.
#[derive(Default)]
struct Buffers(Vec<Vec<f32>>);

/// Larger buffers are not kept.
const MAX_KEPT: usize = 1 << 22;

impl Buffers {
    /// The smallest that fits, else the largest, which grows; its content is unspecified, and it may be longer.
    fn take(&mut self, len: usize) -> Vec<f32> {
        let fit = (0..self.0.len())
            .filter(|&i| self.0[i].len() >= len)
            .min_by_key(|&i| self.0[i].len());
        let pick = fit.or_else(|| (0..self.0.len()).max_by_key(|&i| self.0[i].len()));
        let mut buffer = pick.map_or_else(Vec::new, |i| self.0.swap_remove(i));
        // Only what grows is cleared.
        if buffer.len() < len {
            buffer.resize(len, 0.0);
        }
        buffer
    }

    fn give(&mut self, buffer: Vec<f32>) {
        if buffer.len() <= MAX_KEPT {
            self.0.push(buffer);
        }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Takes the weights of [`LAYERS`].
    ///
    /// # Errors
    /// A message when a weight is missing or has another shape.
    pub fn new(weights: &Weights) -> Result<Self, String> {
        let mut places = HashMap::from([(INPUT, 0)]);
        let mut steps: Vec<Step> = Vec::new();
        let mut zeros = 0;
        for layer in LAYERS {
            let what = match layer.operation {
                Operation::Convolution {
                    input,
                    channels,
                    kernel,
                    stride,
                    is_rectified,
                } => {
                    let shape = [channels[1], channels[0], kernel, kernel];
                    let weight = weights.get(&format!("{}.weight", layer.name), &shape)?;
                    let bias = weights.get(&format!("{}.bias", layer.name), &shape[..1])?;
                    let split;
                    let (weight, geometry) = if input == INPUT {
                        assert!(
                            kernel % 2 == 0 && stride % 2 == 0,
                            "planes are split in two"
                        );
                        zeros = padding(kernel, stride);
                        split = split_kernels(weight, kernel);
                        (&split[..], split_geometry(shape, stride))
                    } else {
                        (weight, geometry(shape, stride, padding(kernel, stride)))
                    };
                    What::Convolution(Box::new(Convolution {
                        input: places[input],
                        geometry,
                        weights: weight.to_vec(),
                        prepared: conv::prepare_with(
                            ConvAlgorithm::Winograd4,
                            &geometry,
                            weight,
                            Direction::Forward,
                        ),
                        bias: bias.to_vec(),
                        is_rectified,
                    }))
                }
                Operation::Add { inputs: [a, b] } => What::Add([places[a], places[b]]),
                Operation::AddCoarse { fine, coarse } => What::AddCoarse {
                    fine: places[fine],
                    coarse: places[coarse],
                },
            };
            steps.push(Step {
                what,
                last_read_here: Vec::new(),
            });
            places.insert(layer.name, steps.len());
        }
        let levels: Vec<usize> = LEVELS.iter().map(|level| places[level.layer]).collect();
        for result in 0..=steps.len() {
            let last = steps.iter().rposition(|step| step.what.reads(result));
            if let (Some(last), false) = (last, levels.contains(&result)) {
                steps[last].last_read_here.push(result);
            }
        }
        Ok(Self {
            steps,
            levels,
            zeros,
            idle: Mutex::default(),
        })
    }

    /// Runs the network on pictures, each in the upper left corner of a gray canvas whose sides are multiples of 32. For
    /// each picture a result for each level.
    ///
    /// Of a small canvas the layers have few positions, and reading their weights takes longer than multiplying them:
    /// several pictures at once cost little more than one.
    pub fn run(&self, pictures: &[&RgbImage], canvas: (u32, u32)) -> Vec<Vec<Output>> {
        let idle = || {
            self.idle
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
        };
        let mut buffers = idle().pop().unwrap_or_default();
        let outputs = parallel::alone(|| self.run_here(pictures, canvas, &mut buffers));
        idle().push(buffers);
        outputs
    }

    fn run_here(
        &self,
        pictures: &[&RgbImage],
        canvas: (u32, u32),
        buffers: &mut Buffers,
    ) -> Vec<Vec<Output>> {
        let mut results = vec![Some(split_pictures(pictures, canvas, self.zeros, buffers))];
        for step in &self.steps {
            let result = step.run(&mut results, buffers);
            for &result in &step.last_read_here {
                if let Some(map) = results[result].take() {
                    buffers.give(map.buffer);
                }
            }
            results.push(Some(result));
        }
        let mut outputs: Vec<Vec<Output>> = pictures.iter().map(|_| Vec::new()).collect();
        for &level in &self.levels {
            let map = results[level].take().expect("levels are kept");
            let values = map.values().chunks_exact(map.channels * map.plane());
            for (outputs, values) in outputs.iter_mut().zip(values) {
                outputs.push(Output {
                    shape: [1, map.channels, map.plane()],
                    values: values.to_vec(),
                });
            }
            buffers.give(map.buffer);
        }
        outputs
    }
}

impl What {
    fn reads(&self, result: usize) -> bool {
        match self {
            What::Convolution(convolution) => convolution.input == result,
            What::Add(inputs) => inputs.contains(&result),
            What::AddCoarse { fine, coarse } => [*fine, *coarse].contains(&result),
        }
    }
}

impl Step {
    fn run(&self, results: &mut [Option<Map>], buffers: &mut Buffers) -> Map {
        match &self.what {
            What::Convolution(convolution) => {
                convolution.run(read(results, convolution.input), buffers)
            }
            What::Add([a, b]) => {
                let mut sum = self.owned(results, *b, buffers);
                kernels::add_rectified(sum.values_mut(), read(results, *a).values());
                sum
            }
            What::AddCoarse { fine, coarse } => {
                let mut sum = self.owned(results, *fine, buffers);
                add_twice(&mut sum, read(results, *coarse));
                sum
            }
        }
    }

    /// A result to be changed: taken when nobody else reads it.
    fn owned(&self, results: &mut [Option<Map>], at: usize, buffers: &mut Buffers) -> Map {
        if self.last_read_here.contains(&at) {
            return results[at].take().expect("read for the last time");
        }
        let map = read(results, at);
        let mut copy = Map {
            buffer: buffers.take(map.values().len()),
            ..*map
        };
        copy.values_mut().copy_from_slice(map.values());
        copy
    }
}

fn read(results: &[Option<Map>], at: usize) -> &Map {
    results[at].as_ref().expect("kept until its last reader")
}

/// Adds each number of a map of half the size to four.
fn add_twice(sum: &mut Map, coarse: &Map) {
    let (height, width) = (sum.height, sum.width);
    let rows = sum.values_mut().chunks_exact_mut(width).enumerate();
    for (row, sums) in rows {
        let (plane, y) = (row / height, row % height);
        let from = plane * coarse.plane() + y / 2 * coarse.width;
        let values = &coarse.values()[from..from + coarse.width];
        for (pair, value) in sums.chunks_exact_mut(2).zip(values) {
            pair[0] += value;
            pair[1] += value;
        }
    }
}

impl Convolution {
    fn run(&self, x: &Map, buffers: &mut Buffers) -> Map {
        let g = ConvGeometry {
            n: x.pictures,
            h: x.height,
            w: x.width,
            ..self.geometry
        };
        let (height, width) = (g.out_height(), g.out_width());
        let mut y = Map {
            buffer: buffers.take(g.n * g.co * height * width),
            pictures: g.n,
            channels: g.co,
            height,
            width,
        };
        conv::forward_into(
            &g,
            x.values(),
            &self.weights,
            &self.prepared,
            Scales::default(),
            y.values_mut(),
        );
        let planes = y.values_mut().chunks_exact_mut(height * width);
        for (plane, &bias) in planes.zip(self.bias.iter().cycle()) {
            kernels::add_bias(plane, bias, self.is_rectified);
        }
        y
    }
}

/// Sizes of a convolution, on a picture of no particular size.
fn geometry([co, ci, kernel, _]: [usize; 4], stride: usize, padding: usize) -> ConvGeometry {
    ConvGeometry {
        n: 1,
        ci,
        co,
        h: 64,
        w: 64,
        kh: kernel,
        kw: kernel,
        stride,
        padding,
        groups: 1,
        swapped: false,
        gain: 1.0,
    }
}

/// Sizes of the first convolution on the planes of [`split_picture`].
fn split_geometry([co, ci, kernel, _]: [usize; 4], stride: usize) -> ConvGeometry {
    let half = kernel / 2;
    geometry([co, 4 * ci, half, half], stride / 2, 0)
}

/// Pictures on gray canvases as numbers in `-1..=1`, `zeros` around each, each plane as four of even and odd rows and
/// columns: `[pictures, 12, rows / 2, columns / 2]`.
///
/// Our kernels take channels 16 at a time: a kernel of even size and stride sees four times the channels through a
/// quarter of the taps.
fn split_pictures(
    pictures: &[&RgbImage],
    (width, height): (u32, u32),
    zeros: usize,
    buffers: &mut Buffers,
) -> Map {
    let half = |side: u32| (side as usize + 2 * zeros).div_ceil(2);
    let (rows, columns) = (half(height), half(width));
    let len = 12 * rows * columns;
    let mut map = Map {
        buffer: buffers.take(pictures.len() * len),
        pictures: pictures.len(),
        channels: 12,
        height: rows,
        width: columns,
    };
    let table: [f32; 256] = std::array::from_fn(|value| (value as f32 - 127.5) / 127.5);
    for (picture, values) in pictures.iter().zip(map.values_mut().chunks_exact_mut(len)) {
        assert!(picture.width() <= width && picture.height() <= height);
        split_picture(picture, columns, zeros, &table, values);
    }
    map
}

/// One picture of [`split_pictures`]; `table` has the number for each value.
fn split_picture(
    picture: &RgbImage,
    columns: usize,
    zeros: usize,
    table: &[f32; 256],
    values: &mut [f32],
) {
    let plane = values.len() / 12;
    let rows = plane / columns;
    let stride = 3 * picture.width() as usize;
    for y in 0..2 * rows {
        let pixels = y
            .checked_sub(zeros)
            .and_then(|row| picture.as_raw().chunks_exact(stride).nth(row));
        for odd in 0..2 {
            // The first pixel of this parity.
            let first = (odd + zeros) % 2;
            for channel in 0..3 {
                let at = (channel * 4 + y % 2 * 2 + odd) * plane + y / 2 * columns;
                let to = &mut values[at..at + columns];
                let pixels = pixels
                    .and_then(|pixels| pixels.get(3 * first + channel..))
                    .unwrap_or_default();
                let (left, to) = to.split_at_mut((first + zeros) / 2);
                let (to, right) = to.split_at_mut(pixels.len().div_ceil(6).min(to.len()));
                left.fill(0.0);
                for (to, &value) in to.iter_mut().zip(pixels.iter().step_by(6)) {
                    *to = table[usize::from(value)];
                }
                right.fill(0.0);
            }
        }
    }
}

/// Kernels `[.., kernel, kernel]` for split planes: `[.., 4, kernel / 2, kernel / 2]`.
fn split_kernels(weights: &[f32], kernel: usize) -> Vec<f32> {
    let half = kernel / 2;
    let mut split = Vec::with_capacity(weights.len());
    for weights in weights.chunks_exact(kernel * kernel) {
        for (odd_row, odd_column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for row in 0..half {
                for column in 0..half {
                    let at = (2 * row + odd_row) * kernel + 2 * column + odd_column;
                    split.push(weights[at]);
                }
            }
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::super::{WEIGHTS, graph};
    use super::*;
    use crate::onnx::Runner;
    use crate::onnx::tensor::{Coding, place};

    /// Red, green, blue in `-1..=1` on gray.
    const CODING: Coding = Coding {
        order: [0, 1, 2],
        mean: [127.5; 3],
        factor: 1.0 / 127.5,
        fill: [127.5; 3],
    };

    #[test]
    fn results_are_those_of_an_onnx_runtime() {
        let weights = Weights::parse(WEIGHTS).unwrap();
        let network = Network::new(&weights).unwrap();
        let runner = Runner::load(graph::onnx(&weights).unwrap()).unwrap();
        // From one cell of the coarsest level to many, square and not, filled and not; then with used buffers.
        let sizes = [
            ((32, 32), (32, 32)),
            ((64, 32), (1, 31)),
            ((96, 160), (95, 130)),
            ((256, 224), (250, 224)),
            ((96, 96), (96, 77)),
        ];
        for (canvas, (width, height)) in sizes {
            let picture = RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([(x * 3 + y) as u8, (x * y) as u8, (y * 5) as u8])
            });
            let input = place(&picture, (width, height), canvas, (0, 0), &CODING);
            let expected = runner.run(input.values, canvas).unwrap();
            let small = RgbImage::from_pixel(width.div_ceil(2), height, image::Rgb([9, 200, 90]));
            let alone = network.run(&[&picture], canvas).remove(0);
            let together = network.run(&[&small, &picture, &small], canvas);
            assert_eq!(together.len(), 3);
            let results = &together[1];
            for (result, alone) in results.iter().zip(&alone) {
                assert_eq!(result.values, alone.values, "{canvas:?}");
            }
            assert_eq!(results.len(), expected.len());
            for (result, expected) in results.iter().zip(expected) {
                let expected = expected.unwrap();
                assert_eq!(result.shape, expected.shape);
                for (a, b) in result.values.iter().zip(&expected.values) {
                    assert!((a - b).abs() < 2e-3, "{canvas:?}: {a} {b}");
                }
            }
        }
    }
}
