//! The data of a cascade, as read from its file and checked.

mod xml;

/// A cascade: stages of boosted decision trees over features of a window.
///
/// Invariants: every index is valid, every feature is inside the window, and in each tree children follow their
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

/// Trees whose summed leaf values must reach the threshold for a window to pass.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub trees: std::ops::Range<usize>,
    pub threshold: f32,
}

/// A tree, given by the indices of its first node and its first leaf in [`Model`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    pub nodes: usize,
    pub leaves: usize,
}

/// An inner node of a tree.
///
/// A child above 0 is the index of a node, counted from the first node of the tree. A child `c` of 0 or less is the
/// leaf with index `-c`, counted from the first leaf of the tree.
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
    /// Haar: the feature's value is below this.
    Below(f32),
    /// LBP: the feature's pattern (0 to 255) is the index of a bit that is set among these 256 bits.
    OneOf([u32; 8]),
}

#[derive(Clone, Debug)]
pub(super) enum Features {
    /// Each is a block of 3 x 3 equal cells, given by its upper left cell: `[x, y, cell width, cell height]`.
    Lbp(Vec<[usize; 4]>),
    Haar(Vec<HaarFeature>),
}

/// A Haar feature: a weighted sum of the pixel sums of one to three rectangles.
#[derive(Clone, Debug)]
pub(super) struct HaarFeature {
    /// `[x, y, width, height]` and weight of each rectangle.
    pub parts: Vec<([usize; 4], f32)>,
    /// Whether the rectangles are tilted by 45 degrees: from the top corner `(x, y)` the side `width` runs down to the
    /// right, the side `height` down to the left.
    pub is_tilted: bool,
}
