//! Image registration of two thumbs: the scale, shift and change of brightness that map one onto the other.
//!
//! The fit is Gauss-Newton on luma, from coarse to fine over 24, 48 and 96 pixels. The six unknowns are scale and shift
//! of each axis, gain and offset. Residuals have Cauchy weights, so that a watermark or a changed mouth does not pull
//! the fit. For a target that is the source cropped to 95 % of its width, the horizontal scale is 0.95.

use crate::thumb::THUMB_SIDE;

/// An affine map from the target thumb to the source thumb, per axis `[x, y]`: `source = scale * target + shift`.
///
/// Coordinates are shares of the thumb's side, from -0.5 to 0.5, 0 at its center.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    pub scale: [f32; 2],
    pub shift: [f32; 2],
    /// Change of luma: `target = gain * source + offset`, in 8-bit levels.
    pub gain: f32,
    pub offset: f32,
}

impl Transform {
    pub const IDENTITY: Self = Self {
        scale: [1.0; 2],
        shift: [0.0; 2],
        gain: 1.0,
        offset: 0.0,
    };

    /// Returns the transform with this scale on both axes about the center, without shift or change of brightness.
    pub fn zoom(scale: f32) -> Self {
        Self {
            scale: [scale; 2],
            ..Self::IDENTITY
        }
    }

    /// Whether a crop could explain the transform: scales within 0.72 to 1.4, shifts of at most 0.16, and scales of the
    /// two axes that differ by at most a factor of 1.25.
    pub fn is_plausible(&self) -> bool {
        (0..2).all(|i| (0.72..=1.4).contains(&self.scale[i]) && self.shift[i].abs() <= 0.16)
            && (0.8..=1.25).contains(&(self.scale[0] / self.scale[1]))
    }

    /// Whether no point of the thumb moves by a tenth of a thumb pixel or more along either axis.
    pub fn is_still(&self) -> bool {
        (0..2).all(|i| {
            ((self.scale[i] - 1.0).abs() * 0.5 + self.shift[i].abs()) * (THUMB_SIDE as f32) < 0.1
        })
    }
}

/// One channel of a square image, `[side, side]` row-major, in 8-bit levels (0 to 255).
#[derive(Clone)]
pub struct Plane {
    pub side: usize,
    pub values: Vec<f32>,
}

impl Plane {
    /// Returns the plane with half the side, by averaging 2 x 2 blocks.
    fn half(&self) -> Self {
        let side = self.side / 2;
        let values = (0..side * side)
            .map(|i| {
                let at = (i / side) * 2 * self.side + (i % side) * 2;
                (self.values[at]
                    + self.values[at + 1]
                    + self.values[at + self.side]
                    + self.values[at + self.side + 1])
                    * 0.25
            })
            .collect();
        Self { side, values }
    }
}

/// Returns the four pixels around `(x, y)`: the index of the upper left one, and the bilinear weights of the upper
/// left, upper right, lower left and lower right pixel.
///
/// `x` and `y` are in pixels of a square image, with pixel centers at integers. `None` outside the image.
pub fn bilinear(x: f32, y: f32, side: usize) -> Option<(usize, [f32; 4])> {
    let last = (side - 1) as f32;
    if !(x >= -0.5 && y >= -0.5 && x <= last + 0.5 && y <= last + 0.5) {
        return None;
    }
    let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
    let (ix, iy) = ((x as usize).min(side - 2), (y as usize).min(side - 2));
    let (fx, fy) = (x - ix as f32, y - iy as f32);
    Some((
        iy * side + ix,
        [
            (1.0 - fx) * (1.0 - fy),
            fx * (1.0 - fy),
            (1.0 - fx) * fy,
            fx * fy,
        ],
    ))
}

/// Luma planes of 96, 48 and 24 pixels a side, in this order.
pub struct Pyramid([Plane; 3]);

impl Pyramid {
    pub fn new(base: Plane) -> Self {
        let half = base.half();
        let quarter = half.half();
        Self([base, half, quarter])
    }
}

/// Finds the transform under which `source` looks like `target`.
///
/// Fits from each start on the coarsest level (24 pixels) and refines the best of these fits on the finer levels.
/// `None` when on some level source and target overlap in less than half of the target.
pub fn register(source: &Pyramid, target: &Pyramid, starts: &[Transform]) -> Option<Transform> {
    let coarse = starts
        .iter()
        .filter_map(|start| refine(&source.0[2], &target.0[2], *start, 12))
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    let middle = refine(&source.0[1], &target.0[1], coarse.0, 8)?;
    refine(&source.0[0], &target.0[0], middle.0, 6).map(|(transform, _)| transform)
}

/// Runs Gauss-Newton steps on one level. Returns the iterate with the least mean Cauchy loss, and this loss.
///
/// `None` when under `start` the source covers less than half of `target`.
fn refine(
    source: &Plane,
    target: &Plane,
    start: Transform,
    iterations: usize,
) -> Option<(Transform, f32)> {
    let side = target.side;
    let mut t = start;
    let mut best: Option<(Transform, f32)> = None;
    let mut row = RowSums::new(side);
    for _ in 0..=iterations {
        let columns = Columns::new(&t, side);
        let mut normal = [[0f64; UNKNOWNS + 1]; UNKNOWNS];
        let (mut loss, mut count) = (0f64, 0usize);
        for y in 0..side {
            let v = (y as f32 + 0.5) / side as f32 - 0.5;
            if let Some((cell, fy)) = place(t.scale[1], t.shift[1], y, side) {
                row.fill(source, target, &t, &columns, (y, cell, fy));
                loss += row.add_to(&mut normal, &columns, v);
                count += columns.range.len();
            }
        }
        // The source must cover at least half of the target.
        if count * 2 < side * side {
            break;
        }
        let loss = (loss / count as f64) as f32;
        if best.is_none_or(|(_, l)| loss < l) {
            best = Some((t, loss));
        } else if best.is_some_and(|(_, l)| loss > l * 1.5 + 1.0) {
            break;
        }
        let Some(step) = solve(normal) else { break };
        t.scale[0] += step[0] as f32;
        t.shift[0] += step[1] as f32;
        t.scale[1] += step[2] as f32;
        t.shift[1] += step[3] as f32;
        t.gain += step[4] as f32;
        t.offset += step[5] as f32;
        if !t.is_plausible() || !(0.4..=2.5).contains(&t.gain) {
            break;
        }
    }
    best
}

/// Number of unknowns, in this order: scale and shift of x, scale and shift of y, gain, offset.
const UNKNOWNS: usize = 6;
/// Scale of the Cauchy loss in 8-bit levels: a residual of this size has half the weight of a small one.
const CAUCHY: f32 = 12.0;

/// Linear interpolation along one axis: finds where target pixel `i` lies in the source. Returns the index `cell` of
/// the source pixel left of (or above) that position, and the weight of pixel `cell + 1`. `None` when the position is
/// outside the source.
fn place(scale: f32, shift: f32, i: usize, side: usize) -> Option<(usize, f32)> {
    let size = side as f32;
    let at = (scale * ((i as f32 + 0.5) / size - 0.5) + shift + 0.5) * size - 0.5;
    let last = (side - 1) as f32;
    if !(at >= -0.5 && at <= last + 0.5) {
        return None;
    }
    let at = at.clamp(0.0, last);
    let cell = (at as usize).min(side - 2);
    Some((cell, at - cell as f32))
}

/// The columns of the target that the source covers, with their positions in the source. They are the same for every
/// row. The lists have one element for each column in `range`.
struct Columns {
    range: std::ops::Range<usize>,
    /// Left of the two source pixels between which the column lies (see [`place`]).
    cells: Vec<usize>,
    /// Weight of the right one of these two pixels.
    shares: Vec<f32>,
    /// Coordinate of the column in the target, in `[-0.5, 0.5]`; padded with zeros to a multiple of [`LANES`].
    u: Vec<f32>,
}

impl Columns {
    fn new(t: &Transform, side: usize) -> Self {
        let places = (0..side).map(|x| place(t.scale[0], t.shift[0], x, side));
        let places: Vec<Option<(usize, f32)>> = places.collect();
        // Scales are positive, so the covered columns are contiguous.
        let from = places.iter().position(Option::is_some).unwrap_or(0);
        let seen: Vec<(usize, f32)> = places.into_iter().flatten().collect();
        let range = from..from + seen.len();
        Self {
            cells: seen.iter().map(|&(cell, _)| cell).collect(),
            shares: seen.iter().map(|&(_, share)| share).collect(),
            u: padded(
                range.clone().map(|x| (x as f32 + 0.5) / side as f32 - 0.5),
                side,
            ),
            range,
        }
    }
}

fn padded(values: impl Iterator<Item = f32>, side: usize) -> Vec<f32> {
    let mut values: Vec<f32> = values.collect();
    values.resize(side.next_multiple_of(LANES), 0.0);
    values
}

/// Sums are accumulated in this many lanes, so that their order, and with it the rounding, is the same on every
/// machine.
const LANES: usize = 8;

/// For every covered pixel of one target row: residual, Cauchy weight, source value, and derivatives of the residual by
/// the source position along x and y.
///
/// All lists have the target's side rounded up to a multiple of [`LANES`]; weights are 0 after the last covered pixel.
struct RowSums {
    error: Vec<f32>,
    weight: Vec<f32>,
    value: Vec<f32>,
    dx: Vec<f32>,
    dy: Vec<f32>,
}

impl RowSums {
    fn new(side: usize) -> Self {
        let zeros = || padded(std::iter::empty(), side);
        Self {
            error: zeros(),
            weight: zeros(),
            value: zeros(),
            dx: zeros(),
            dy: zeros(),
        }
    }

    #[allow(clippy::needless_range_loop)] // positions of several lists
    fn fill(
        &mut self,
        source: &Plane,
        target: &Plane,
        t: &Transform,
        columns: &Columns,
        (y, cell_y, fy): (usize, usize, f32),
    ) {
        let (side, size) = (source.side, source.side as f32);
        let above = &source.values[cell_y * side..][..side];
        let below = &source.values[(cell_y + 1) * side..][..side];
        let wanted = &target.values[y * side..][..side][columns.range.clone()];
        let n = wanted.len();
        for i in 0..n {
            let (cell, fx) = (columns.cells[i], columns.shares[i]);
            let (p00, p10) = (above[cell], above[cell + 1]);
            let (p01, p11) = (below[cell], below[cell + 1]);
            let (left, right) = (p00 + (p01 - p00) * fy, p10 + (p11 - p10) * fy);
            let value = left + (right - left) * fx;
            self.value[i] = value;
            // Derivatives of the residual by the source position, in shares of the side.
            self.dx[i] = t.gain * size * (right - left);
            self.dy[i] = t.gain * size * ((p01 - p00) * (1.0 - fx) + (p11 - p10) * fx);
            self.error[i] = t.gain * value + t.offset - wanted[i];
        }
        for i in 0..n {
            let ratio = self.error[i] / CAUCHY;
            self.weight[i] = 1.0 / (1.0 + ratio * ratio);
        }
        self.weight[n..].fill(0.0);
    }

    /// Adds the row to the normal equations and returns the summed Cauchy loss of the row.
    ///
    /// `v` is the target's y coordinate of the row, in `[-0.5, 0.5]`.
    fn add_to(
        &self,
        normal: &mut [[f64; UNKNOWNS + 1]; UNKNOWNS],
        columns: &Columns,
        v: f32,
    ) -> f64 {
        let (weight, value) = (&self.weight, &self.value);
        let times =
            |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
        let (w_dx, w_dy, w_value) = (
            times(weight, &self.dx),
            times(weight, &self.dy),
            times(weight, value),
        );
        let (u_dx, w_u_dx) = (times(&self.dx, &columns.u), times(&w_dx, &columns.u));
        let ones = [1.0; LANES];
        let sum = |a: &[f32]| a.chunks_exact(LANES).map(|a| dot(a, &ones)).sum::<f64>();
        let v = f64::from(v);
        let xy = dot(&w_u_dx, &self.dy);
        let dx_dy = dot(&w_dx, &self.dy);
        let dy_dy = dot(&w_dy, &self.dy);
        let dy_value = dot(&w_dy, value);
        let dy_one = sum(&w_dy);
        let dy_error = dot(&w_dy, &self.error);
        let upper: [&[f64]; UNKNOWNS] = [
            &[
                dot(&w_u_dx, &u_dx),
                dot(&w_u_dx, &self.dx),
                xy * v,
                xy,
                dot(&w_u_dx, value),
                sum(&w_u_dx),
                -dot(&w_u_dx, &self.error),
            ],
            &[
                dot(&w_dx, &self.dx),
                dx_dy * v,
                dx_dy,
                dot(&w_dx, value),
                sum(&w_dx),
                -dot(&w_dx, &self.error),
            ],
            &[
                dy_dy * v * v,
                dy_dy * v,
                dy_value * v,
                dy_one * v,
                -dy_error * v,
            ],
            &[dy_dy, dy_value, dy_one, -dy_error],
            &[
                dot(&w_value, value),
                sum(&w_value),
                -dot(&w_value, &self.error),
            ],
            &[sum(weight), -dot(weight, &self.error)],
        ];
        for (i, (row, values)) in normal.iter_mut().zip(upper).enumerate() {
            for (total, value) in row[i..].iter_mut().zip(values) {
                *total += value;
            }
        }
        // One logarithm for 16 weights: their product stays inside the range of f64.
        let n = columns.range.len();
        let product = |weights: &[f32]| weights.iter().map(|&w| f64::from(w)).product::<f64>();
        let logarithms: f64 = weight[..n].chunks(16).map(|w| -product(w).ln()).sum();
        f64::from(CAUCHY * CAUCHY) * logarithms
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}

/// Solves a linear system of `N` equations with a symmetric positive definite matrix, slightly damped; `M` is `N + 1`.
///
/// `a` holds the upper triangle and, in its last column, the right side. `None` when the system is singular.
#[allow(clippy::needless_range_loop)] // rows and columns of one matrix
fn solve<const N: usize, const M: usize>(mut a: [[f64; M]; N]) -> Option<[f64; N]> {
    for i in 0..N {
        for j in 0..i {
            a[i][j] = a[j][i];
        }
    }
    for (i, row) in a.iter_mut().enumerate() {
        row[i] = row[i] * (1.0 + 1e-4) + 1e-6;
    }
    for i in 0..N {
        let pivot = (i..N).max_by(|&x, &y| a[x][i].abs().total_cmp(&a[y][i].abs()))?;
        a.swap(i, pivot);
        if a[i][i].abs() < 1e-12 {
            return None;
        }
        for row in i + 1..N {
            let factor = a[row][i] / a[i][i];
            for column in i..M {
                a[row][column] -= factor * a[i][column];
            }
        }
    }
    let mut x = [0.0; N];
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|j| a[i][j] * x[j]).sum();
        x[i] = (a[i][N] - known) / a[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(u: f32, v: f32) -> f32 {
        // u, v: coordinates in the uncropped image, from -0.5 to 0.5.
        120.0
            + 70.0 * (9.0 * u + 4.0 * v).sin()
            + 50.0 * (7.0 * v - 3.0 * u + 1.0).cos()
            + if (u - 0.1).hypot(v + 0.05) < 0.2 {
                -60.0
            } else {
                0.0
            }
    }

    fn plane(scale: [f32; 2], shift: [f32; 2], gain: f32) -> Plane {
        let side = THUMB_SIDE;
        let at = |i: usize| (i as f32 + 0.5) / side as f32 - 0.5;
        let values = (0..side * side)
            .map(|i| {
                gain * scene(
                    at(i % side) * scale[0] + shift[0],
                    at(i / side) * scale[1] + shift[1],
                )
            })
            .collect();
        Plane { side, values }
    }

    #[test]
    fn finds_crops_and_light() {
        let source = Pyramid::new(plane([1.0; 2], [0.0; 2], 1.0));
        let starts = [
            Transform::IDENTITY,
            Transform::zoom(0.88),
            Transform::zoom(1.0 / 0.88),
        ];
        for (scale, shift, gain) in [
            ([0.95, 0.94], [0.02, -0.01], 1.0),
            ([0.86, 0.87], [0.05, 0.03], 0.8),
            ([1.0, 1.0], [0.0, 0.0], 1.2),
        ] {
            let target = Pyramid::new(plane(scale, shift, gain));
            let found = register(&source, &target, &starts).expect("fits");
            for i in 0..2 {
                assert!(
                    (found.scale[i] - scale[i]).abs() < 0.004,
                    "{found:?}, wanted {scale:?}"
                );
                assert!(
                    (found.shift[i] - shift[i]).abs() < 0.003,
                    "{found:?}, wanted {shift:?}"
                );
            }
            assert!((found.gain - gain).abs() < 0.03, "{found:?}, wanted {gain}");
        }
    }
}
