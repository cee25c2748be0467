//! Synthetic illustrations with known ground truth: face, hair, eyes, mouth, clothes, patterned background, paper
//! grain.
//!
//! A [`Work`] is one illustration and depends only on its seed. [`Work::render`] draws a part of it at any size.

/// A pseudorandom generator (xorshift64*), which gives the same numbers for the same seed.
#[derive(Clone)]
pub struct Draw(u64);

impl Draw {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Self {
        let mut draw = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            draw.bits();
        }
        draw
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A uniform number in `[from, to)`.
    pub fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (self.bits() >> 40) as f32 / (1u64 << 24) as f32 * (to - from)
    }

    fn color(&mut self) -> [f32; 3] {
        [
            self.range(20.0, 240.0),
            self.range(20.0, 240.0),
            self.range(20.0, 240.0),
        ]
    }
}

/// A rectangle of an image; all edges are fractions of its width or height, from the left or upper edge.
#[derive(Clone, Copy)]
pub struct Window {
    /// The left edge.
    pub left: f32,
    /// The upper edge.
    pub top: f32,
    /// The right edge.
    pub right: f32,
    /// The lower edge.
    pub bottom: f32,
}

impl Window {
    /// The whole image.
    pub const ALL: Self = Self {
        left: 0.0,
        top: 0.0,
        right: 1.0,
        bottom: 1.0,
    };
}

/// The expression of a face: 0 is the default, bit 0 closes the eyes, `expression / 2` (0, 1 or more) selects the
/// mouth.
pub type Expression = u32;

/// An illustration of one character.
#[derive(Clone)]
pub struct Work {
    /// The height divided by the width.
    pub aspect: f32,
    /// The center (x, y) of the face, both in units of the image width.
    pub face: [f32; 2],
    /// The radius of the face, in units of the image width.
    pub face_radius: f32,
    /// The color of the hair, RGB in 0..255.
    pub hair: [f32; 3],
    background: [[f32; 3]; 3],
    waves: [f32; 6],
    blobs: Vec<([f32; 2], f32, [f32; 3])>,
    strands: Vec<[f32; 4]>,
    skin: [f32; 3],
    iris: [f32; 3],
    clothes: [[f32; 3]; 2],
    stripe: f32,
    tilt: f32,
    /// The expression of the face.
    pub expression: Expression,
    grain: u64,
}

impl Work {
    /// An illustration with properties drawn at random from the seed.
    pub fn new(seed: u64) -> Self {
        let mut d = Draw::new(seed);
        let aspect = d.range(0.7, 1.45);
        let blobs = (0..6 + d.bits() % 8)
            .map(|_| {
                (
                    [d.range(0.0, 1.0), d.range(0.0, aspect)],
                    d.range(0.03, 0.18),
                    d.color(),
                )
            })
            .collect();
        Self {
            aspect,
            face: [d.range(0.35, 0.65), aspect * d.range(0.32, 0.5)],
            face_radius: d.range(0.15, 0.24),
            hair: d.color(),
            background: [d.color(), d.color(), d.color()],
            waves: std::array::from_fn(|_| d.range(2.0, 16.0)),
            blobs,
            strands: (0..9)
                .map(|_| {
                    [
                        d.range(-1.1, 1.1),
                        d.range(-0.4, 0.4),
                        d.range(0.02, 0.06),
                        d.range(0.5, 1.0),
                    ]
                })
                .collect(),
            skin: [
                d.range(220.0, 252.0),
                d.range(180.0, 225.0),
                d.range(160.0, 210.0),
            ],
            iris: d.color(),
            clothes: [d.color(), d.color()],
            stripe: d.range(8.0, 30.0),
            tilt: d.range(-0.3, 0.3),
            expression: 0,
            grain: d.bits(),
        }
    }

    /// The same illustration with another expression.
    pub fn with_expression(&self, expression: Expression) -> Self {
        Self {
            expression,
            ..self.clone()
        }
    }

    /// The same illustration with other colors of hair and eyes, drawn from `seed`.
    pub fn recolored(&self, seed: u64) -> Self {
        let mut d = Draw::new(seed ^ 0xc010);
        let far = |d: &mut Draw, from: [f32; 3]| loop {
            let c = d.color();
            if (0..3).map(|i| (c[i] - from[i]).abs()).sum::<f32>() > 150.0 {
                return c;
            }
        };
        let (hair, iris) = (far(&mut d, self.hair), far(&mut d, self.iris));
        Self {
            hair,
            iris,
            ..self.clone()
        }
    }

    /// The square around the face, in fractions of width and height.
    pub fn face_box(&self) -> Window {
        let r = self.face_radius * 1.15;
        Window {
            left: self.face[0] - r,
            right: self.face[0] + r,
            top: (self.face[1] - r) / self.aspect,
            bottom: (self.face[1] + r) / self.aspect,
        }
    }

    /// Renders a part of the illustration, `width` pixels wide. Returns RGB pixels `[height, width, 3]`, width and
    /// height; the height follows from the aspect ratio.
    pub fn render(&self, window: Window, width: usize) -> (Vec<u8>, usize, usize) {
        const SUB: usize = 2;
        let (span_x, span_y) = (
            window.right - window.left,
            (window.bottom - window.top) * self.aspect,
        );
        let height = ((width as f32) * span_y / span_x).round().max(1.0) as usize;
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let mut sum = [0f32; 3];
                for s in 0..SUB * SUB {
                    let fx = (x as f32 + ((s % SUB) as f32 + 0.5) / SUB as f32) / width as f32;
                    let fy = (y as f32 + ((s / SUB) as f32 + 0.5) / SUB as f32) / height as f32;
                    let p = self.at(
                        window.left + fx * span_x,
                        window.top * self.aspect + fy * span_y,
                    );
                    for c in 0..3 {
                        sum[c] += p[c];
                    }
                }
                rgb.extend(sum.map(|v| (v / (SUB * SUB) as f32).round().clamp(0.0, 255.0) as u8));
            }
        }
        (rgb, width, height)
    }

    /// The color at a point, RGB in 0..255; x is in [0, 1] and y in [0, aspect].
    fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let w = &self.waves;
        let blend = |a: [f32; 3], b: [f32; 3], t: f32| -> [f32; 3] {
            std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
        };
        // The background: three colors blended along two waves, and blobs with an outline.
        let s = 0.5 + 0.5 * (w[0] * x + w[1] * y).sin();
        let t = 0.5 + 0.5 * (w[2] * x - w[3] * y + 1.0).cos();
        let mut color = blend(
            blend(self.background[0], self.background[1], s),
            self.background[2],
            t * 0.7,
        );
        for (center, radius, fill) in &self.blobs {
            let r = (x - center[0]).hypot(y - center[1]);
            if r < *radius {
                color = if r > radius - 0.006 { [30.0; 3] } else { *fill };
            }
        }
        // The body.
        let (fx, fy) = (
            (x - self.face[0]) / self.face_radius,
            (y - self.face[1]) / self.face_radius,
        );
        let (fx, fy) = (
            fx * self.tilt.cos() + fy * self.tilt.sin(),
            fy * self.tilt.cos() - fx * self.tilt.sin(),
        );
        if fy > 0.8 && fx.abs() < 0.5 + 0.6 * (fy - 0.8) {
            let k = usize::from((self.stripe * x + y * 3.0).sin() > 0.3);
            color = self.clothes[k];
        }
        // The hair behind the face, the face, and the fringe.
        let shade = 1.0 - 0.18 * (0.5 + 0.5 * (fx * w[4] + fy * 2.0).sin());
        let hair = self.hair.map(|v| v * shade);
        if (fx / 1.35).hypot((fy + 0.1) / 1.5) < 1.0 {
            color = hair;
        }
        if (fx / 0.88).hypot(fy) < 1.0 {
            color = self.skin;
            color = self.features(fx, fy, color);
            if fy < -0.42 + 0.2 * (fx * w[5] * 0.6).sin() {
                color = hair;
            }
        }
        for strand in &self.strands {
            if (fx - strand[0] - strand[1] * fy).abs() < strand[2] * 0.5
                && fy > -1.2
                && fy < strand[3] - 0.9
            {
                color = self.hair.map(|v| v * 0.55);
            }
        }
        // The grain of the paper, which is fixed relative to the illustration.
        let cell = ((x * 700.0) as u64).wrapping_mul(0x9e37_79b9)
            ^ ((y * 700.0) as u64).wrapping_mul(0x85eb_ca6b)
            ^ self.grain;
        let noise = (cell.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 60) as f32 - 7.5;
        color.map(|v| v + noise * 0.6)
    }

    fn features(&self, fx: f32, fy: f32, skin: [f32; 3]) -> [f32; 3] {
        let dark = [45.0, 30.0, 40.0];
        let mut color = skin;
        let closed = self.expression & 1 == 1;
        for side in [-1.0f32, 1.0] {
            let (ex, ey) = (fx - side * 0.4, fy - 0.05);
            if closed {
                if ex.abs() < 0.22 && (ey - 0.12 * (ex * 7.0).cos() + 0.05).abs() < 0.035 {
                    color = dark;
                }
            } else if (ex / 0.2).hypot(ey / 0.28) < 1.0 {
                color = if ey < -0.16 { dark } else { [250.0; 3] };
                if (ex / 0.14).hypot(ey / 0.24) < 1.0 {
                    color = self.iris;
                    if ex.hypot(ey) < 0.07 {
                        color = dark;
                    }
                    if (ex - 0.05).hypot(ey + 0.1) < 0.05 {
                        color = [255.0; 3];
                    }
                }
            }
        }
        let mouth = fy - 0.58;
        match self.expression / 2 {
            0 => {
                if fx.abs() < 0.16 && (mouth - 0.05 * (fx * 9.0).cos()).abs() < 0.025 {
                    color = [150.0, 60.0, 60.0];
                }
            }
            1 => {
                if (fx / 0.24).hypot((mouth - 0.02) / 0.17) < 1.0 {
                    color = [170.0, 50.0, 60.0];
                }
            }
            _ => {
                if (fx / 0.3).hypot(mouth / 0.1) < 1.0 && mouth > -0.02 {
                    color = [250.0, 245.0, 245.0];
                }
                for side in [-1.0f32, 1.0] {
                    if (fx - side * 0.55).hypot(fy - 0.35) < 0.14 {
                        color = [250.0, 140.0, 140.0];
                    }
                }
            }
        }
        color
    }
}
