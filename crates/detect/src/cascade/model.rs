//! A cascade in memory.

mod xml;

/// A cascade: stages of boosted trees over features of a window.
///
/// Every index in it is inside its list, every feature inside the window, and each tree's children follow their
/// parents.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Width and height of the window in pixels.
    pub window: (usize, usize),
    pub stages: Vec<Stage>,
    pub trees: Vec<Tree>,
    pub nodes: Vec<Node>,
    pub leaves: Vec<f32>,
    pub features: Features,
}

/// A run of trees whose votes must reach the threshold.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub trees: std::ops::Range<usize>,
    pub threshold: f32,
}

/// First node and first leaf of a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    pub nodes: usize,
    pub leaves: usize,
}

/// An inner node. A child above 0 is a node of the same tree, else its negative is a leaf.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub feature: usize,
    pub left: i32,
    pub right: i32,
    pub test: Test,
}

/// Condition under which a window goes to the left child.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Haar: a value below this.
    Below(f32),
    /// LBP: a pattern whose bit is set.
    OneOf([u32; 8]),
}

#[derive(Clone, Debug)]
pub(super) enum Features {
    /// The upper left of 3 x 3 equal cells: `[x, y, cell width, cell height]`.
    Lbp(Vec<[usize; 4]>),
    Haar(Vec<HaarFeature>),
}

/// A weighted sum of two or three rectangles.
#[derive(Clone, Debug)]
pub(super) struct HaarFeature {
    /// `[x, y, width, height]` and weight.
    pub parts: Vec<([usize; 4], f32)>,
    /// Rectangles stand on their corner: `width` runs down to the right, `height` down to the left.
    pub is_tilted: bool,
}
