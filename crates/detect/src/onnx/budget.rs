//! Limits on the memory and time of one run of a graph.
//!
//! Limits grow with the image, so that any `--longest-side` is allowed and a small file cannot request much. They are
//! several times the use of the largest known models: YOLO11x needs 240,000 multiply-adds and YOLOv8x6 320,000 for each
//! pixel, with less than 1 KiB alive.

/// Limit of multiply-adds: a constant and a number for each pixel.
const WORK: (u64, u64) = (2 << 30, 700_000);
/// Limit of live bytes: a constant, a number for each pixel, and a maximum.
const BYTES: (u64, u64, u64) = (256 << 20, 4 << 10, 4 << 30);
/// Minimum cost of a node, in multiply-adds.
const NODE: u64 = 1 << 13;
/// Cost of one element of a result, in multiply-adds.
const ELEMENT: u64 = 16;

/// Costs added up over a graph.
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

    /// Adds a node that makes `elements` and does `work` beyond that.
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

    /// Checks the peak of live bytes.
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
