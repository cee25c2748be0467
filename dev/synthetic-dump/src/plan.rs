//! Plans a dump: works, files derived from them, and broken files. Planning only draws random numbers.

use crate::alter::Alteration;
use crate::draw::Draw;
use crate::encode::Encoding;
use crate::kind::Kind;
use crate::lettering;
use crate::scene::{Scene, SceneKind};

/// One file of a dump, before it is painted.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: Kind,
    /// Number of the work that it shows; `None` if it shows none.
    pub work: Option<usize>,
    /// Index in the plan of the file that it was made from; `None` if it was not made from one.
    pub source: Option<usize>,
    /// Its number in the file name and the metadata.
    pub id: u32,
    pub extension: &'static str,
    pub content: Content,
}

/// The content of a file.
#[derive(Clone, Debug)]
pub enum Content {
    Image(Box<Image>),
    /// An image of one RGB color, with this width and height.
    Flat((u32, u32), [u8; 3]),
    Broken(Broken),
}

/// An image that is painted, then altered, then encoded.
#[derive(Clone, Debug)]
pub struct Image {
    pub scene: Scene,
    pub alterations: Vec<Alteration>,
    pub encoding: Encoding,
}

/// A file that is not an image, or not a complete one.
#[derive(Clone, Debug)]
pub enum Broken {
    /// Only this share of the file, from its beginning.
    Truncated(Box<Image>, f32),
    Empty,
    /// Text in a file with the extension of an image.
    Text,
    /// The signature of a PNG, then noise drawn with this seed.
    Noise(u32),
    /// A PNG header that states more pixels than any memory can hold.
    Bomb,
}

impl Entry {
    /// The scene that the file shows; `None` if it shows none.
    pub fn scene_mut(&mut self) -> Option<&mut Scene> {
        match &mut self.content {
            Content::Image(image) | Content::Broken(Broken::Truncated(image, _)) => {
                Some(&mut image.scene)
            }
            Content::Flat(..) | Content::Broken(_) => None,
        }
    }
}

impl Image {
    pub fn paint(&self) -> image::RgbImage {
        let mut canvas = self.scene.painted();
        for alteration in &self.alterations {
            if let Alteration::Watermark(seed) = alteration {
                lettering::watermark(&mut canvas, &mut Draw::new(*seed, 7));
            }
        }
        self.alterations
            .iter()
            .fold(canvas.into_image(), |image, alteration| {
                alteration.apply(image)
            })
    }

    pub fn size(&self) -> (u32, u32) {
        let size = (self.scene.width, self.scene.height);
        self.alterations
            .iter()
            .fold(size, |size, alteration| alteration.size(size))
    }

    /// Face boxes `[x0, y0, x1, y1]` in pixels of the final image.
    pub fn faces(&self) -> Vec<[f32; 4]> {
        let boxes = self
            .scene
            .people
            .iter()
            .filter_map(|figure| figure.face_box());
        let follow = |rect: [f32; 4]| {
            let size = (self.scene.width, self.scene.height);
            let moved = self
                .alterations
                .iter()
                .fold((rect, size), |(rect, size), alteration| {
                    (alteration.move_box(rect, size), alteration.size(size))
                });
            // Rounded to tenths of a pixel.
            moved.0.map(|v| (v * 10.0).round() / 10.0)
        };
        boxes.map(follow).collect()
    }
}

/// Plans a dump with `n_works` works. The numbers of the other files grow in proportion; there is at least one of each
/// kind.
pub fn plan(seed: u32, n_works: usize) -> Vec<Entry> {
    let mut plan = Plan {
        seed,
        entries: Vec::new(),
        draw: Draw::new(seed, 0),
    };
    for work in 0..n_works {
        plan.add_work(work);
    }
    let share = |of_a_hundred: usize| (n_works * of_a_hundred).div_ceil(100);
    // Copies are made of the works with one character or a group, one after the other in random order.
    let mut order: Vec<usize> = (0..n_works).filter(|&work| plan.has_faces(work)).collect();
    plan.draw.shuffle(&mut order);
    let mut next = order.iter().cycle().copied();
    for (kind, count) in [
        (Kind::Reencoded, share(9)),
        (Kind::Resized, share(9)),
        (Kind::Cropped, share(6)),
        (Kind::Mirrored, share(6)),
        (Kind::Brightness, share(4)),
        (Kind::Watermark, share(4)),
        (Kind::Expression, share(9)),
        (Kind::Colors, share(4)),
        (Kind::Gray, share(4)),
        (Kind::Sepia, share(3)),
        (Kind::Tinted, share(2)),
    ] {
        for _ in 0..count {
            let Some(work) = next.next() else { break };
            plan.add_derived(kind, work);
        }
    }
    for (kind, count) in [
        (Kind::Blank, share(1)),
        (Kind::Banner, share(1)),
        (Kind::Tiny, share(1)),
        (Kind::Truncated, share(1)),
        (Kind::Empty, 1),
        (Kind::Text, 1),
        (Kind::Noise, 1),
        (Kind::Bomb, 1),
    ] {
        for _ in 0..count {
            plan.add_odd(kind);
        }
    }
    plan.number();
    plan.entries
}

struct Plan {
    seed: u32,
    entries: Vec<Entry>,
    draw: Draw,
}

impl Plan {
    fn has_faces(&self, work: usize) -> bool {
        match &self.entries[work].content {
            Content::Image(image) => {
                matches!(image.scene.kind, SceneKind::Solo | SceneKind::Group)
            }
            _ => false,
        }
    }

    fn add_work(&mut self, work: usize) {
        use SceneKind::{Behind, Comic, Cover, Group, Scenery, Solo};
        // The kinds of 20 works in a row; every kind appears in the first ten.
        const KINDS: [SceneKind; 20] = [
            Solo, Group, Solo, Behind, Solo, Comic, Solo, Scenery, Cover, Solo, Solo, Solo, Group,
            Solo, Solo, Solo, Group, Solo, Solo, Solo,
        ];
        let mut draw = Draw::new(self.seed, 1000 + work as u32);
        let scene = Scene::plan(KINDS[work % KINDS.len()], &mut draw);
        let encoding = match work {
            10 => Encoding::Png16,
            11 | 64 => Encoding::PngAlpha,
            13 => Encoding::Gif,
            14 => Encoding::Bmp,
            _ => match draw.below(20) {
                0..7 => Encoding::Png,
                7 => Encoding::WebP,
                _ => Encoding::Jpeg(draw.pick(&[92, 94, 95, 97])),
            },
        };
        self.push(
            Kind::Work,
            Some(work),
            None,
            Image {
                scene,
                alterations: Vec::new(),
                encoding,
            },
        );
    }

    fn add_derived(&mut self, kind: Kind, work: usize) {
        let Content::Image(original) = &self.entries[work].content else {
            return;
        };
        let mut image = (**original).clone();
        let mut draw = Draw::new(self.seed, 1_000_000 + self.entries.len() as u32);
        let draw = &mut draw;
        // A copy is stored in lower quality than its original.
        image.encoding = Encoding::Jpeg(draw.pick(&[72, 78, 82, 86]));
        match kind {
            Kind::Reencoded => image.encoding = Encoding::Jpeg(draw.pick(&[45, 55, 65, 75, 85])),
            Kind::Resized => image
                .alterations
                .push(Alteration::Resize(draw.range(0.5, 0.8))),
            Kind::Cropped => {
                // 4 to 6 % of each side, divided at random between its two ends.
                let (x, y) = (draw.range(0.04, 0.06), draw.range(0.04, 0.06));
                let (left, top) = (x * draw.range(0.0, 1.0), y * draw.range(0.0, 1.0));
                image
                    .alterations
                    .push(Alteration::Crop([left, top, x - left, y - top]));
            }
            Kind::Mirrored => image.alterations.push(Alteration::Mirror),
            Kind::Brightness => {
                let factor = if draw.chance(0.5) {
                    draw.range(0.78, 0.9)
                } else {
                    draw.range(1.06, 1.15)
                };
                image.alterations.push(Alteration::Brightness(factor));
            }
            Kind::Watermark => {
                let seed = draw.below(1 << 30) as u32;
                image.alterations.push(Alteration::Watermark(seed));
            }
            Kind::Expression => {
                image.scene = image.scene.with_expression(draw);
                image.encoding = Encoding::Jpeg(94);
            }
            Kind::Colors => {
                image.scene = image.scene.with_colors(draw);
                image.encoding = Encoding::Jpeg(94);
            }
            Kind::Gray => image.alterations.push(Alteration::Gray),
            Kind::Sepia => image
                .alterations
                .push(Alteration::Tint([34, 22, 10], [255, 240, 206])),
            _ => {
                let hue = draw.range(0.0, 1.0);
                let tone = |value: f32, saturation: f32| {
                    crate::color::OpaqueColor::hsv(hue, saturation, value)
                        .0
                        .map(|v| (v * 255.0) as u8)
                };
                image
                    .alterations
                    .push(Alteration::Tint(tone(0.2, 0.8), tone(1.0, 0.12)));
            }
        }
        self.push(kind, Some(work), Some(work), image);
    }

    fn add_odd(&mut self, kind: Kind) {
        let stream = 2_000_000 + self.entries.len() as u32;
        let mut draw = Draw::new(self.seed, stream);
        let draw = &mut draw;
        let mut somebody = |alterations| {
            Box::new(Image {
                scene: Scene::plan(SceneKind::Solo, draw),
                alterations,
                encoding: Encoding::Jpeg(92),
            })
        };
        let (extension, content) = match kind {
            Kind::Tiny => (
                "jpg",
                Content::Image(somebody(vec![Alteration::Resize(0.07)])),
            ),
            Kind::Truncated => (
                "jpg",
                Content::Broken(Broken::Truncated(somebody(Vec::new()), 0.4)),
            ),
            Kind::Blank => {
                let color = crate::color::OpaqueColor::hsv(draw.range(0.0, 1.0), 0.3, 0.9).0;
                (
                    "png",
                    Content::Flat((600, 800), color.map(|v| (v * 255.0) as u8)),
                )
            }
            Kind::Banner => {
                let mut scene = Scene::plan(SceneKind::Scenery, draw);
                (scene.width, scene.height) = (1400, 180);
                let encoding = Encoding::Jpeg(90);
                (
                    "jpg",
                    Content::Image(Box::new(Image {
                        scene,
                        alterations: Vec::new(),
                        encoding,
                    })),
                )
            }
            Kind::Empty => ("png", Content::Broken(Broken::Empty)),
            Kind::Text => ("jpg", Content::Broken(Broken::Text)),
            Kind::Noise => ("png", Content::Broken(Broken::Noise(stream))),
            _ => ("png", Content::Broken(Broken::Bomb)),
        };
        self.entries.push(Entry {
            kind,
            work: None,
            source: None,
            id: 0,
            extension,
            content,
        });
    }

    fn push(&mut self, kind: Kind, work: Option<usize>, source: Option<usize>, image: Image) {
        self.entries.push(Entry {
            kind,
            work,
            source,
            id: 0,
            extension: image.encoding.extension(),
            content: Content::Image(Box::new(image)),
        });
    }

    /// Gives every file a random number, so that copies are not beside their originals.
    fn number(&mut self) {
        let mut ids: Vec<u32> = (0..self.entries.len() as u32)
            .map(|i| 100_001 + i * 7)
            .collect();
        self.draw.shuffle(&mut ids);
        for (entry, id) in self.entries.iter_mut().zip(ids) {
            entry.id = id;
        }
    }
}
