//! The drawing style. To a generator, dumps of two styles are two domains.

use serde::{Deserialize, Serialize};
use tiny_skia::Color;

/// The drawing style of a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Thin tinted lines and gradients.
    #[default]
    Soft,
    /// Thick dark lines, flat strong colors on warm paper, as in old print.
    Print,
}

/// The color of the paper in [`Style::Print`], RGB.
const PAPER: [f32; 3] = [0.98, 0.92, 0.8];

impl Style {
    /// Whether this is the default style.
    pub(crate) fn is_soft(&self) -> bool {
        *self == Self::Soft
    }

    /// The width in this style of a line of the given width.
    pub(crate) fn width(self, width: f32) -> f32 {
        match self {
            Self::Soft => width,
            Self::Print => width * 2.0,
        }
    }

    /// The color in this style of a fill of the given color.
    pub(crate) fn fill(self, color: Color) -> Color {
        match self {
            Self::Soft => color,
            Self::Print => {
                let rgb = [color.red(), color.green(), color.blue()];
                let luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
                let channel = |i: usize| {
                    let strong = (luma + 1.45 * (rgb[i] - luma)).clamp(0.0, 1.0);
                    (strong * PAPER[i]).clamp(0.0, 1.0)
                };
                Color::from_rgba(channel(0), channel(1), channel(2), color.alpha()).unwrap_or(color)
            }
        }
    }

    /// The color in this style of a line of the given color.
    pub(crate) fn line(self, color: Color) -> Color {
        match self {
            Self::Soft => color,
            Self::Print => {
                let [r, g, b] = [color.red(), color.green(), color.blue()].map(|v| v * 0.45);
                Color::from_rgba(r, g, b, color.alpha()).unwrap_or(color)
            }
        }
    }

    /// Whether gradients are replaced by their mean color.
    pub(crate) fn is_flat(self) -> bool {
        self == Self::Print
    }
}
