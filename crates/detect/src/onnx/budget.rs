//! Limits on the memory and the computation of one run of a graph.
//!
//! Limits grow with the number of pixels, so that any `--longest-side` is possible and yet a malicious file cannot use
//! much. They are at least twice what the largest known models need: YOLO11x needs 240,000 and YOLOv8x6 320,000
//! multiply-adds per pixel, and both less than 1 KiB of live memory per pixel.

/// Limit of the multiply-adds of a run: the first number, plus the second per pixel.
const WORK: (u64, u64) = (2 << 30, 700_000);
/// Limit of the bytes alive at the same time: the first number, plus the second per pixel, but at most the third.
const BYTES: (u64, u64, u64) = (256 << 20, 4 << 10, 4 << 30);
/// Fixed cost of a node, in multiply-adds.
const NODE: u64 = 1 << 13;
/// Cost of writing one element of a result, in multiply-adds.
const ELEMENT: u64 = 16;

/// The computation of a graph for one image size, added up node by node.
pub(super) struct Budget {
    pixels: u64,
    work: u64,
}

impl Budget {
    pub fn new((width, height): (u32, u32)) -> Self {
        Self {
            pixels: u64::from(width) * u64::from(height),
            work: 0,
        }
    }

    /// Adds a node whose results have `elements` elements and that needs `work` multiply-adds besides writing them.
    ///
    /// # Errors
    /// A message when the total exceeds the limit.
    pub fn spend(&mut self, elements: usize, work: u64) -> Result<(), String> {
        let node = work.saturating_add(ELEMENT * elements as u64 + NODE);
        self.work = self.work.saturating_add(node);
        let limit = WORK.0 + WORK.1 * self.pixels;
        if self.work > limit {
            return Err(format!(
                "needs more than {} million multiply-adds for an image of {} pixels",
                limit / 1_000_000,
                self.pixels
            ));
        }
        Ok(())
    }

    /// Checks `bytes`, the peak of live memory of a run.
    ///
    /// # Errors
    /// A message when it exceeds the limit.
    pub fn hold(&self, bytes: u64) -> Result<(), String> {
        let limit = (BYTES.0 + BYTES.1 * self.pixels).min(BYTES.2);
        if bytes > limit {
            return Err(format!(
                "needs {} MiB of memory for an image of {} pixels, more than the {} MiB allowed: take a smaller \
                 --longest-side or another model",
                bytes >> 20,
                self.pixels,
                limit >> 20
            ));
        }
        Ok(())
    }
}
