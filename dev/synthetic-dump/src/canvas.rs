//! An image on which shapes are painted, through a transform and inside of clipping paths.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Mask, Paint, Path, Pixmap,
    Point, RadialGradient, Shader, SpreadMode, Stroke, Transform,
};

use crate::color::OpaqueColor;
use crate::style::Style;

/// The color or gradient of a shape.
#[derive(Clone, Copy)]
pub enum Ink {
    Flat(Color),
    /// Linear gradient, from the first color at the first point to the second color at the second point.
    Linear([f32; 2], Color, [f32; 2], Color),
    /// Radial gradient around a point, from the first color in the middle to the second color at the radius.
    Radial([f32; 2], f32, Color, Color),
}

impl From<Color> for Ink {
    fn from(color: Color) -> Self {
        Self::Flat(color)
    }
}

impl From<OpaqueColor> for Ink {
    fn from(color: OpaqueColor) -> Self {
        Self::Flat(color.opaque())
    }
}

impl Ink {
    /// A vertical gradient from `upper` at `y0` to `lower` at `y1`.
    pub fn down(y0: f32, upper: OpaqueColor, y1: f32, lower: OpaqueColor) -> Self {
        Self::Linear([0.0, y0], upper.opaque(), [0.0, y1], lower.opaque())
    }

    /// Applies a function to all colors. With `is_flat`, a gradient becomes the mean of its two colors first.
    fn mapped(self, map: impl Fn(Color) -> Color, is_flat: bool) -> Self {
        let middle = |a: Color, b: Color| {
            let mean = |a: f32, b: f32| (a + b) / 2.0;
            let rgb = [
                (a.red(), b.red()),
                (a.green(), b.green()),
                (a.blue(), b.blue()),
            ];
            let [r, g, b_] = rgb.map(|(a, b)| mean(a, b));
            Color::from_rgba(r, g, b_, mean(a.alpha(), b.alpha())).unwrap_or(a)
        };
        match self {
            Self::Flat(color) => Self::Flat(map(color)),
            Self::Linear(_, a, _, b) | Self::Radial(_, _, a, b) if is_flat => {
                Self::Flat(map(middle(a, b)))
            }
            Self::Linear(from, a, to, b) => Self::Linear(from, map(a), to, map(b)),
            Self::Radial(center, radius, a, b) => Self::Radial(center, radius, map(a), map(b)),
        }
    }

    fn shader(self) -> Shader<'static> {
        let stops = |a, b| vec![GradientStop::new(0.0, a), GradientStop::new(1.0, b)];
        let point = |[x, y]: [f32; 2]| Point::from_xy(x, y);
        match self {
            Self::Flat(color) => Shader::SolidColor(color),
            Self::Linear(from, a, to, b) => LinearGradient::new(
                point(from),
                point(to),
                stops(a, b),
                SpreadMode::Pad,
                Transform::identity(),
            )
            .unwrap_or(Shader::SolidColor(b)),
            Self::Radial(center, radius, a, b) => RadialGradient::new(
                point(center),
                point(center),
                radius,
                stops(a, b),
                SpreadMode::Pad,
                Transform::identity(),
            )
            .unwrap_or(Shader::SolidColor(b)),
        }
    }
}

/// An image with the present transform, the present clip and the style.
pub struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
    mask: Option<Mask>,
    style: Style,
}

impl Canvas {
    /// Starts an image that is white as the style shows it.
    ///
    /// # Panics
    /// When a side is 0, or the image is too large for the memory.
    pub fn new(width: u32, height: u32, style: Style) -> Self {
        let mut pixmap =
            Pixmap::new(width, height).expect("the sides of an image are drawn from a list");
        pixmap.fill(style.fill(Color::WHITE));
        Self {
            pixmap,
            transform: Transform::identity(),
            mask: None,
            style,
        }
    }

    pub fn size(&self) -> (f32, f32) {
        (self.pixmap.width() as f32, self.pixmap.height() as f32)
    }

    /// Calls `paint` with a further transform, which is applied before the present one.
    pub fn within(&mut self, transform: Transform, paint: impl FnOnce(&mut Self)) {
        let outer = self.transform;
        self.transform = outer.pre_concat(transform);
        paint(self);
        self.transform = outer;
    }

    /// Calls `paint` with painting limited to the inside of a path.
    pub fn clipped(&mut self, path: &Path, paint: impl FnOnce(&mut Self)) {
        let outer = self.mask.take();
        let mut mask = match &outer {
            Some(mask) => {
                let mut mask = mask.clone();
                mask.intersect_path(path, FillRule::Winding, true, self.transform);
                Some(mask)
            }
            None => Mask::new(self.pixmap.width(), self.pixmap.height()),
        };
        if outer.is_none()
            && let Some(mask) = &mut mask
        {
            mask.fill_path(path, FillRule::Winding, true, self.transform);
        }
        self.mask = mask;
        paint(self);
        self.mask = outer;
    }

    pub fn fill(&mut self, path: &Path, ink: impl Into<Ink>) {
        let style = self.style;
        let ink = ink
            .into()
            .mapped(|color| style.fill(color), style.is_flat());
        let paint = Paint {
            shader: ink.shader(),
            ..Paint::default()
        };
        self.pixmap.fill_path(
            path,
            &paint,
            FillRule::Winding,
            self.transform,
            self.mask.as_ref(),
        );
    }

    /// Draws a line along a path, with round ends. The style may change its width.
    pub fn stroke(&mut self, path: &Path, width: f32, ink: impl Into<Ink>) {
        let style = self.style;
        let ink = ink
            .into()
            .mapped(|color| style.line(color), style.is_flat());
        let paint = Paint {
            shader: ink.shader(),
            ..Paint::default()
        };
        let stroke = Stroke {
            width: style.width(width),
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        self.pixmap
            .stroke_path(path, &paint, &stroke, self.transform, self.mask.as_ref());
    }

    /// Fills a path and draws its outline.
    pub fn shape(&mut self, path: &Path, ink: impl Into<Ink>, line: impl Into<Ink>) {
        self.fill(path, ink);
        self.stroke(path, 2.6, line);
    }

    /// The finished image.
    pub fn into_image(self) -> image::RgbImage {
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        let pixels = self.pixmap.data();
        let mut image = image::RgbImage::new(width, height);
        // Every pixel is opaque since the first fill, so premultiplied colors are plain ones.
        for (target, source) in image
            .as_mut()
            .chunks_exact_mut(3)
            .zip(pixels.chunks_exact(4))
        {
            target.copy_from_slice(&source[..3]);
        }
        image
    }
}
