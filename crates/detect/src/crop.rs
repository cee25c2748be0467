//! Crops the surroundings of a face box to a square training image, or returns the reason why not.
//!
//! [`plan`] computes the square; [`crop`] also makes the image, by one resize from the source.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// Options and limits of the square crop around a face.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropOptions {
    /// Side of the square divided by the side of the face. The square is never smaller than the box.
    ///
    /// The side of a face is the square root of its box's area, because detectors that return wider boxes and detectors
    /// that return narrower ones differ least in this value.
    pub expand: f32,
    /// Distance from the center of the face up to the center of the square, divided by the side of the face.
    pub shift_up: f32,
    /// Largest fraction of the square's side that may be filled by reflection where the image is smaller than the
    /// square.
    pub max_reflect: f32,
    /// Largest enlargement: `resolution` divided by the side of the square in source pixels.
    pub max_upscale: f32,
    /// Whether squares that need more enlargement than `max_upscale` are accepted; [`CropPlan::is_upscaled`] is then
    /// true.
    pub upscaled_ok: bool,
    /// Side of the cropped image in pixels.
    pub resolution: u32,
    /// Filter of the resize.
    pub filter: CropFilter,
}

impl Default for CropOptions {
    fn default() -> Self {
        CropPreset::Head.options()
    }
}

/// The filter with which a crop is resized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropFilter {
    /// Lanczos with three lobes: sharp, with some ringing.
    #[default]
    Lanczos,
    /// The mean of the source pixels under each result pixel: no ringing.
    Box,
}

/// Named framings of a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CropPreset {
    /// From brow to chin, with a small margin.
    Face,
    /// The whole head including the hair.
    Head,
    /// Head and shoulders.
    Portrait,
}

impl CropPreset {
    /// Every preset.
    pub const ALL: [Self; 3] = [Self::Face, Self::Head, Self::Portrait];

    /// The options of this framing, with a resolution of 512 pixels.
    pub fn options(self) -> CropOptions {
        let (expand, shift_up) = match self {
            Self::Face => (1.25, 0.05),
            Self::Head => (1.7, 0.18),
            Self::Portrait => (2.4, 0.1),
        };
        CropOptions {
            expand,
            shift_up,
            max_reflect: 0.1,
            max_upscale: 1.5,
            upscaled_ok: false,
            resolution: 512,
            filter: CropFilter::Lanczos,
        }
    }
}

/// The square of a crop in the source image, and the side of the cropped image.
///
/// Column `u` of the cropped image corresponds to column `x + u * side / resolution` of the source; rows likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropAffine {
    /// Left edge in source pixels; negative when the square extends beyond the image.
    pub x: i32,
    /// Top edge in source pixels; negative when the square extends beyond the image.
    pub y: i32,
    /// Side of the square in source pixels.
    pub side: u32,
    /// Side of the cropped image in pixels.
    pub resolution: u32,
}

impl CropAffine {
    /// Converts a box `[x0, y0, x1, y1]` from source pixels to pixels of the cropped image; the result may extend
    /// beyond that image.
    pub fn to_crop(&self, [x0, y0, x1, y1]: [f32; 4]) -> [f32; 4] {
        let scale = self.resolution as f32 / self.side as f32;
        let (x, y) = (self.x as f32, self.y as f32);
        [
            (x0 - x) * scale,
            (y0 - y) * scale,
            (x1 - x) * scale,
            (y1 - y) * scale,
        ]
    }
}

/// The geometry of an accepted crop; result of [`plan`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CropPlan {
    /// The square in the source image.
    pub affine: CropAffine,
    /// Fraction of the square's side that is filled by reflection; 0 when the square is inside the image.
    pub reflected: f32,
    /// Distance by which the square was moved to fit inside the image, divided by its side; 0 when less than a pixel.
    pub shifted: f32,
    /// Side of the cropped image divided by the side of the square; above 1 the source is enlarged.
    pub upscale: f32,
    /// Whether `upscale` exceeds [`CropOptions::max_upscale`] and was allowed by [`CropOptions::upscaled_ok`].
    pub is_upscaled: bool,
}

/// The reason why a face is not cropped.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum CropReject {
    /// The image is too small for the square: too much of the crop would be filled by reflection.
    #[error("{share:.2} of the crop would be reflected at the border, at most {max:.2} may be")]
    Border {
        /// Fraction of the square's side that would be filled by reflection.
        share: f32,
        /// The limit, [`CropOptions::max_reflect`].
        max: f32,
    },
    /// The image itself is too small: no square in it reaches the resolution within [`CropOptions::max_upscale`].
    #[error("the image allows squares of {largest} pixels, at least {needed} are needed")]
    Small {
        /// Side of the largest square that the image allows, in source pixels.
        largest: u32,
        /// Smallest side that [`CropOptions::max_upscale`] allows, in source pixels.
        needed: u32,
    },
    /// The face is too small: the crop would be enlarged too much.
    #[error("the crop would be enlarged {factor:.2} times, at most {max:.2} is allowed")]
    Upscaled {
        /// The enlargement that the crop would need.
        factor: f32,
        /// The limit, [`CropOptions::max_upscale`].
        max: f32,
    },
    /// The box is empty, lies outside the image, contains NaN, or the resolution is 0.
    #[error("the face box is empty")]
    Empty,
}

/// A cropped face; result of [`crop`].
#[derive(Clone, Debug)]
pub struct Crop {
    /// The image, [`CropOptions::resolution`] pixels wide and high.
    pub image: RgbImage,
    /// The geometry of the crop.
    pub plan: CropPlan,
}

/// Computes the square around a face.
///
/// A square that extends beyond the image is moved inside it. Where the image is smaller than the square, the rest will
/// be filled by reflection.
///
/// ```
/// use detect::crop::{CropPreset, plan};
///
/// let options = CropPreset::Face.options();
/// let plan = plan((2000, 2000), [800.0, 800.0, 1200.0, 1200.0], &options)?;
/// assert_eq!((plan.affine.side, plan.reflected), (500, 0.0));
/// # Ok::<(), detect::crop::CropReject>(())
/// ```
///
/// - `size`: width and height of the image in pixels
/// - `face`: box `[x0, y0, x1, y1]` in pixels of the image
///
/// # Errors
/// The reason why the face is not cropped.
pub fn plan(
    size: (u32, u32),
    face: [f32; 4],
    options: &CropOptions,
) -> Result<CropPlan, CropReject> {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let [x0, y0, x1, y1] = face.map(f64::from);
    let (x0, x1) = (x0.clamp(0.0, width), x1.clamp(0.0, width));
    let (y0, y1) = (y0.clamp(0.0, height), y1.clamp(0.0, height));
    let (face_width, face_height) = (x1 - x0, y1 - y0);
    let face_side = (face_width * face_height).max(0.0).sqrt();
    let smaller = face_width.min(face_height);
    let side = (face_side * f64::from(options.expand))
        .max(face_width)
        .max(face_height)
        .round();
    // A NaN fails the comparison.
    if !(smaller > 0.0 && side >= 1.0 && side <= f64::from(i32::MAX) && options.resolution > 0) {
        return Err(CropReject::Empty);
    }

    // Enlargement: report whether the image or only the face is too small.
    let resolution = f64::from(options.resolution);
    let upscale = resolution / side;
    let is_upscaled = upscale > f64::from(options.max_upscale);
    if is_upscaled && !options.upscaled_ok {
        let reflectable = 1.0 - f64::from(options.max_reflect).clamp(0.0, 0.9);
        let largest = (width.min(height) / reflectable).floor();
        let needed = (resolution / f64::from(options.max_upscale)).ceil();
        return Err(if largest < needed {
            CropReject::Small {
                largest: largest as u32,
                needed: needed as u32,
            }
        } else {
            CropReject::Upscaled {
                factor: upscale as f32,
                max: options.max_upscale,
            }
        });
    }

    // Share of the square that the image cannot fill.
    let share = (side - width.min(height)).max(0.0) / side;
    if share > f64::from(options.max_reflect) {
        return Err(CropReject::Border {
            share: share as f32,
            max: options.max_reflect,
        });
    }
    let wanted_x = (x0 + x1 - side) / 2.0;
    let wanted_y = (y0 + y1 - side) / 2.0 - f64::from(options.shift_up) * face_side;
    let inside = |wanted: f64, length: f64| {
        wanted
            .round()
            .clamp((length - side).min(0.0), (length - side).max(0.0))
    };
    let (x, y) = (inside(wanted_x, width), inside(wanted_y, height));
    let moved = (x - wanted_x).abs().max((y - wanted_y).abs());
    Ok(CropPlan {
        affine: CropAffine {
            x: x as i32,
            y: y as i32,
            side: side as u32,
            resolution: options.resolution,
        },
        reflected: share as f32,
        shifted: if moved < 1.0 {
            0.0
        } else {
            (moved / side) as f32
        },
        upscale: upscale as f32,
        is_upscaled,
    })
}

/// Crops the square around a face and resizes it to [`CropOptions::resolution`].
///
/// `face` is `[x0, y0, x1, y1]` in pixels of `image`.
///
/// # Errors
/// The reason why the face is not cropped.
pub fn crop(image: &RgbImage, face: [f32; 4], options: &CropOptions) -> Result<Crop, CropReject> {
    let plan = plan(image.dimensions(), face, options)?;
    let CropAffine {
        x,
        y,
        side,
        resolution,
    } = plan.affine;
    let padded;
    let (source, left, top) = if plan.reflected > 0.0 {
        padded = reflected(image, x, y, side);
        (&padded, 0, 0)
    } else {
        (image, x, y)
    };
    let filter = match options.filter {
        CropFilter::Lanczos => FilterType::Lanczos3,
        CropFilter::Box => FilterType::Box,
    };
    let resize = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false)
        .crop(
            f64::from(left),
            f64::from(top),
            f64::from(side),
            f64::from(side),
        );
    let (width, height) = source.dimensions();
    let from = TypedImageRef::<U8x3>::from_buffer(width, height, source.as_raw())
        .expect("an image fills its size");
    let mut result = RgbImage::new(resolution, resolution);
    let mut to = TypedImage::<U8x3>::from_buffer(resolution, resolution, &mut result)
        .expect("that is its size");
    Resizer::new()
        .resize_typed(&from, &mut to, &resize)
        .expect("the plan lies inside the image");
    Ok(Crop {
        image: result,
        plan,
    })
}

/// Copies a square that extends beyond the image; pixels outside are reflected ones from inside.
fn reflected(image: &RgbImage, x: i32, y: i32, side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |column, row| {
        let at = |offset: u32, start: i32, length: u32| {
            mirror(i64::from(offset) + i64::from(start), length)
        };
        *image.get_pixel(at(column, x, image.width()), at(row, y, image.height()))
    })
}

/// The index in `0..length` that `position` is reflected to; the border pixel is not repeated.
fn mirror(position: i64, length: u32) -> u32 {
    let last = i64::from(length) - 1;
    if last == 0 {
        return 0;
    }
    let turn = position.rem_euclid(2 * last);
    turn.min(2 * last - turn) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CropOptions {
        CropOptions {
            expand: 2.0,
            shift_up: 0.25,
            max_reflect: 0.2,
            resolution: 64,
            ..CropOptions::default()
        }
    }

    #[test]
    fn a_face_in_the_middle_gets_its_square() {
        let plan = plan((400, 300), [160.0, 120.0, 220.0, 180.0], &options()).unwrap();
        assert_eq!(
            plan.affine,
            CropAffine {
                x: 130,
                y: 75,
                side: 120,
                resolution: 64
            }
        );
        assert_eq!(
            (plan.reflected, plan.shifted, plan.is_upscaled),
            (0.0, 0.0, false)
        );
        assert_eq!(
            plan.affine.to_crop([130.0, 75.0, 250.0, 195.0]),
            [0.0, 0.0, 64.0, 64.0]
        );
    }

    #[test]
    fn at_a_border_the_square_moves_inside_first() {
        let plan = plan((400, 300), [0.0, 0.0, 60.0, 60.0], &options()).unwrap();
        assert_eq!(
            (plan.affine.x, plan.affine.y, plan.affine.side),
            (0, 0, 120)
        );
        // Its wanted top edge was at -45.
        assert_eq!((plan.reflected, plan.shifted), (0.0, 45.0 / 120.0));
    }

    #[test]
    fn then_it_is_reflected_and_then_refused() {
        let face = [20.0, 20.0, 80.0, 80.0];
        let narrow = plan((100, 300), face, &options()).unwrap();
        assert_eq!((narrow.affine.x, narrow.affine.side), (-10, 120));
        assert!((narrow.reflected - 20.0 / 120.0).abs() < 1e-6);
        let refused = plan((90, 300), face, &options()).unwrap_err();
        assert_eq!(
            refused,
            CropReject::Border {
                share: 0.25,
                max: 0.2
            }
        );
    }

    #[test]
    fn enlargement_is_refused_or_flagged() {
        let face = [20.0, 20.0, 35.0, 35.0];
        let refused = plan((400, 300), face, &options()).unwrap_err();
        assert!(
            matches!(refused, CropReject::Upscaled { max: 1.5, .. }),
            "{refused}"
        );
        let refused = plan((30, 40), [5.0, 5.0, 20.0, 20.0], &options()).unwrap_err();
        assert_eq!(
            refused,
            CropReject::Small {
                largest: 37,
                needed: 43
            }
        );
        let allowed = plan(
            (400, 300),
            face,
            &CropOptions {
                upscaled_ok: true,
                ..options()
            },
        )
        .unwrap();
        assert!(allowed.is_upscaled && allowed.upscale > 2.0);
    }

    #[test]
    fn broken_boxes_are_refused() {
        for face in [
            [5.0, 5.0, 5.0, 9.0],
            [9.0, 9.0, 3.0, 3.0],
            [f32::NAN; 4],
            [500.0, 0.0, 600.0, 50.0],
        ] {
            assert_eq!(
                plan((400, 300), face, &options()),
                Err(CropReject::Empty),
                "{face:?}"
            );
        }
        let infinite = plan(
            (400, 300),
            [
                f32::NEG_INFINITY,
                f32::NEG_INFINITY,
                f32::INFINITY,
                f32::INFINITY,
            ],
            &options(),
        );
        assert!(
            matches!(infinite, Err(CropReject::Border { .. })),
            "{infinite:?}"
        );
    }

    #[test]
    fn pixels_come_from_the_square() {
        // The image is red on the left and blue on the right; so is the square.
        let image = RgbImage::from_fn(200, 200, |x, _| {
            image::Rgb(if x < 100 { [255, 0, 0] } else { [0, 0, 255] })
        });
        for filter in [CropFilter::Lanczos, CropFilter::Box] {
            let options = CropOptions {
                filter,
                shift_up: 0.0,
                ..options()
            };
            let crop = crop(&image, [70.0, 70.0, 130.0, 130.0], &options).unwrap();
            assert_eq!(crop.image.dimensions(), (64, 64));
            assert_eq!(crop.image.get_pixel(20, 30).0, [255, 0, 0]);
            assert_eq!(crop.image.get_pixel(44, 30).0, [0, 0, 255]);
        }
    }

    #[test]
    fn what_is_reflected_mirrors_the_border() {
        let image = RgbImage::from_fn(100, 300, |x, y| image::Rgb([x as u8, (y % 200) as u8, 0]));
        let options = CropOptions {
            resolution: 120,
            filter: CropFilter::Box,
            ..options()
        };
        let crop = crop(&image, [20.0, 120.0, 80.0, 180.0], &options).unwrap();
        assert_eq!(
            crop.plan.affine,
            CropAffine {
                x: -10,
                y: 75,
                side: 120,
                resolution: 120
            }
        );
        assert_eq!(crop.image.get_pixel(0, 0).0, [10, 75, 0]);
        assert_eq!(crop.image.get_pixel(10, 0).0, [0, 75, 0]);
        assert_eq!(crop.image.get_pixel(119, 0).0, [89, 75, 0]);
        assert_eq!((mirror(-3, 2), mirror(7, 1), mirror(5, 4)), (1, 0, 1));
    }
}
