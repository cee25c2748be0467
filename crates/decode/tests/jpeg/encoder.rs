//! Writes JPEGs of random coefficients in every structure that the standard allows: sampling factors, scans of any
//! components, progressive scripts, restarts, markers and component ids.

/// A component: id, and horizontal and vertical sampling factor.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    pub id: u8,
    pub h: usize,
    pub v: usize,
}

/// One scan: indices of its components, first and last coefficient, and bit positions (high, low) of successive
/// approximation.
#[derive(Clone, Debug)]
pub struct Scan {
    pub components: Vec<usize>,
    pub band: (usize, usize),
    pub bits: (u8, u8),
}

/// Description of a file to write.
#[derive(Clone, Debug)]
pub struct Spec {
    pub width: usize,
    pub height: usize,
    pub components: Vec<Component>,
    pub scans: Vec<Scan>,
    pub is_progressive: bool,
    /// Number of MCUs between restart markers, 0 for none.
    pub restart: usize,
    pub has_jfif: bool,
    /// Color transform of the Adobe marker; `None` for no marker.
    pub adobe: Option<u8>,
    /// Bytes of additional segments after the start marker.
    pub segments: Vec<u8>,
    pub seed: u32,
    /// Share of the rows of blocks, from the top, that are not flat.
    pub busy_share: f64,
}

impl Spec {
    /// A file with components `(id, h, v)`, all in one sequential scan.
    pub fn new((width, height): (usize, usize), components: &[(u8, usize, usize)]) -> Self {
        let components: Vec<Component> = components
            .iter()
            .map(|&(id, h, v)| Component { id, h, v })
            .collect();
        Self {
            width,
            height,
            scans: vec![Scan {
                components: (0..components.len()).collect(),
                band: (0, 63),
                bits: (0, 0),
            }],
            components,
            is_progressive: false,
            restart: 0,
            has_jfif: false,
            adobe: None,
            segments: Vec::new(),
            seed: 1,
            busy_share: 1.0,
        }
    }

    /// Changes the file to one sequential scan for each component.
    pub fn with_scan_each(mut self) -> Self {
        self.scans = (0..self.components.len())
            .map(|i| Scan {
                components: vec![i],
                band: (0, 63),
                bits: (0, 0),
            })
            .collect();
        self
    }

    /// Makes the file progressive: DC of all components in one scan (or each in its own), then bands of AC, each with
    /// one refinement.
    pub fn with_progression(mut self, is_dc_interleaved: bool) -> Self {
        let n = self.components.len();
        let scan = |components: Vec<usize>, band, bits| Scan {
            components,
            band,
            bits,
        };
        let groups: Vec<Vec<usize>> = if is_dc_interleaved {
            vec![(0..n).collect()]
        } else {
            (0..n).map(|i| vec![i]).collect()
        };
        let mut scans = Vec::new();
        scans.extend(groups.iter().map(|g| scan(g.clone(), (0, 0), (0, 1))));
        for i in 0..n {
            scans.push(scan(vec![i], (1, 5), (0, 2)));
            scans.push(scan(vec![i], (6, 63), (0, 2)));
        }
        scans.extend((0..n).map(|i| scan(vec![i], (1, 63), (2, 1))));
        scans.extend(groups.iter().map(|g| scan(g.clone(), (0, 0), (1, 0))));
        scans.extend((0..n).map(|i| scan(vec![i], (1, 63), (1, 0))));
        self.scans = scans;
        self.is_progressive = true;
        self
    }

    fn max_sampling(&self) -> (usize, usize) {
        self.components
            .iter()
            .fold((1, 1), |(h, v), c| (h.max(c.h), v.max(c.v)))
    }

    fn mcus(&self) -> (usize, usize) {
        let (h, v) = self.max_sampling();
        (self.width.div_ceil(8 * h), self.height.div_ceil(8 * v))
    }

    /// Writes the file.
    pub fn encode(&self) -> Vec<u8> {
        let planes: Vec<Plane> = (0..self.components.len())
            .map(|i| Plane::random(self, i))
            .collect();
        let mut out = vec![0xff, 0xd8];
        if self.has_jfif {
            segment(
                &mut out,
                0xe0,
                &[b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0],
            );
        }
        if let Some(transform) = self.adobe {
            let mut adobe = b"Adobe\0\x64\0\0\0\0".to_vec();
            adobe.push(transform);
            segment(&mut out, 0xee, &adobe);
        }
        out.extend_from_slice(&self.segments);
        let mut table = vec![0];
        table.extend((0..64).map(|i| 4 + i / 8));
        segment(&mut out, 0xdb, &table);
        let mut frame = vec![8];
        frame.extend((self.height as u16).to_be_bytes());
        frame.extend((self.width as u16).to_be_bytes());
        frame.push(self.components.len() as u8);
        for c in &self.components {
            frame.extend([c.id, (c.h << 4 | c.v) as u8, 0]);
        }
        segment(
            &mut out,
            if self.is_progressive { 0xc2 } else { 0xc1 },
            &frame,
        );
        segment(&mut out, 0xc4, &huffman_tables());
        if self.restart > 0 {
            segment(&mut out, 0xdd, &(self.restart as u16).to_be_bytes());
        }
        for scan in &self.scans {
            let mut header = vec![scan.components.len() as u8];
            for &i in &scan.components {
                header.extend([self.components[i].id, 0]);
            }
            header.extend([
                scan.band.0 as u8,
                scan.band.1 as u8,
                scan.bits.0 << 4 | scan.bits.1,
            ]);
            segment(&mut out, 0xda, &header);
            self.write_scan(&mut out, scan, &planes);
        }
        out.extend([0xff, 0xd9]);
        out
    }

    fn write_scan(&self, out: &mut Vec<u8>, scan: &Scan, planes: &[Plane]) {
        let is_interleaved = scan.components.len() > 1;
        let (columns, rows) = if is_interleaved {
            self.mcus()
        } else {
            planes[scan.components[0]].blocks
        };
        let mut writer = BlockWriter {
            bits: BitWriter::default(),
            scan,
            is_progressive: self.is_progressive,
            predictions: vec![0; planes.len()],
            eob_run: 0,
            corrections: Vec::new(),
        };
        for mcu in 0..columns * rows {
            if self.restart > 0 && mcu > 0 && mcu % self.restart == 0 {
                writer.flush_eob();
                writer.bits.flush(out);
                out.extend([0xff, 0xd0 + ((mcu / self.restart - 1) % 8) as u8]);
                writer.predictions.fill(0);
            }
            let (x, y) = (mcu % columns, mcu / columns);
            for &i in &scan.components {
                let (h, v) = match is_interleaved {
                    true => (self.components[i].h, self.components[i].v),
                    false => (1, 1),
                };
                for block_y in y * v..(y + 1) * v {
                    for block_x in x * h..(x + 1) * h {
                        writer.write(
                            i,
                            &planes[i].coefficients[block_y * planes[i].stride + block_x],
                        );
                    }
                }
            }
        }
        writer.flush_eob();
        writer.bits.flush(out);
    }
}

fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((content.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(content);
}

/// Huffman tables with codes of one length: 4 bits for the 12 sizes of DC, 8 bits for the 176 pairs of run and size of
/// AC.
fn huffman_tables() -> Vec<u8> {
    let mut dc = vec![0];
    dc.extend((1..=16).map(|n| if n == 4 { 12 } else { 0 }));
    dc.extend(0..12);
    dc.push(0x10);
    dc.extend((1..=16).map(|n| if n == 8 { 176 } else { 0 }));
    dc.extend((0..176).map(|code: u8| ((code % 16) << 4) | (code / 16)));
    dc
}

struct Plane {
    /// Number of blocks with at least one sample of the image: in a row, and rows.
    blocks: (usize, usize),
    stride: usize,
    coefficients: Vec<[i32; 64]>,
}

impl Plane {
    /// Random coefficients: slow waves of DC and a few small AC coefficients.
    fn random(spec: &Spec, component: usize) -> Self {
        let Component { h, v, .. } = spec.components[component];
        let (max_h, max_v) = spec.max_sampling();
        let (columns, rows) = spec.mcus();
        let (stride, n_rows) = (columns * h, rows * v);
        let mut rng = Rng(spec.seed.wrapping_mul(31).wrapping_add(component as u32));
        let phase = f64::from(rng.below(628)) / 100.0;
        let coefficients = (0..stride * n_rows)
            .map(|i| {
                let (x, y) = (
                    (i % stride) as f64 / h as f64,
                    (i / stride) as f64 / v as f64,
                );
                let mut block = [0; 64];
                if (i / stride) as f64 >= spec.busy_share * n_rows as f64 {
                    return block;
                }
                block[0] = (110.0 * (0.9 * x + 0.5 * y + phase).sin()) as i32 + rng.below(9) as i32;
                for _ in 0..rng.below(9) {
                    let n_positions = if rng.below(4) == 0 { 63 } else { 12 };
                    let at = 1 + rng.below(n_positions) as usize;
                    block[at] = rng.below(23) as i32 - 11;
                }
                block
            })
            .collect();
        Self {
            blocks: (
                (spec.width * h).div_ceil(max_h).div_ceil(8),
                (spec.height * v).div_ceil(max_v).div_ceil(8),
            ),
            stride,
            coefficients,
        }
    }
}

/// A small pseudo-random generator for tests.
pub struct Rng(pub u32);

impl Rng {
    /// The next number, from 0 to `n - 1`.
    pub fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % n
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    bits: u32,
    n_bits: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, n: u32) {
        for i in (0..n).rev() {
            self.bits = self.bits << 1 | (value >> i & 1);
            self.n_bits += 1;
            if self.n_bits == 8 {
                self.bytes.push(self.bits as u8);
                if self.bits as u8 == 0xff {
                    self.bytes.push(0);
                }
                (self.bits, self.n_bits) = (0, 0);
            }
        }
    }

    /// Fills the last byte with ones, and moves all bytes to `out`.
    fn flush(&mut self, out: &mut Vec<u8>) {
        while self.n_bits > 0 {
            self.put(1, 1);
        }
        out.append(&mut self.bytes);
    }
}

struct BlockWriter<'a> {
    bits: BitWriter,
    scan: &'a Scan,
    is_progressive: bool,
    predictions: Vec<i32>,
    /// Number of blocks in the pending end-of-band run, and the correction bits of these blocks.
    eob_run: u32,
    corrections: Vec<u32>,
}

fn size_of(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}

impl BlockWriter<'_> {
    fn symbol(&mut self, run: u32, size: u32) {
        self.bits.put(size * 16 + run, 8);
    }

    fn value(&mut self, value: i32) {
        let size = size_of(value);
        let code = if value < 0 { value - 1 } else { value };
        self.bits.put(code as u32 & ((1 << size) - 1), size);
    }

    fn dc(&mut self, component: usize, value: i32) {
        let difference = value - self.predictions[component];
        self.predictions[component] = value;
        self.bits.put(size_of(difference), 4);
        self.value(difference);
    }

    fn write(&mut self, component: usize, block: &[i32; 64]) {
        let ((start, end), (high, low)) = (self.scan.band, self.scan.bits);
        if !self.is_progressive {
            self.dc(component, block[0]);
            let mut run = 0;
            for &value in &block[1..] {
                if value == 0 {
                    run += 1;
                    continue;
                }
                self.zero_runs(&mut run);
                self.symbol(run, size_of(value));
                self.value(value);
                run = 0;
            }
            if run > 0 {
                self.symbol(0, 0);
            }
        } else if start == 0 && high == 0 {
            self.dc(component, block[0] >> low);
        } else if start == 0 {
            self.bits.put(block[0] as u32 >> low & 1, 1);
        } else if high == 0 {
            self.first(&block[start..=end], low);
        } else {
            self.refine(&block[start..=end], low);
        }
    }

    fn zero_runs(&mut self, run: &mut u32) {
        while *run > 15 {
            self.symbol(15, 0);
            *run -= 16;
        }
    }

    fn first(&mut self, band: &[i32], low: u8) {
        let mut run = 0;
        for &value in band {
            // Division rounds towards zero.
            let value = value / (1 << low);
            if value == 0 {
                run += 1;
                continue;
            }
            self.flush_eob();
            self.zero_runs(&mut run);
            self.symbol(run, size_of(value));
            self.value(value);
            run = 0;
        }
        if run > 0 {
            self.end_block(Vec::new());
        }
    }

    fn refine(&mut self, band: &[i32], low: u8) {
        let magnitude = |value: i32| value.unsigned_abs() >> low;
        let last_new = band.iter().rposition(|&value| magnitude(value) == 1);
        let mut run = 0;
        let mut corrections = Vec::new();
        for (i, &value) in band.iter().enumerate() {
            match magnitude(value) {
                0 => run += 1,
                1 => {
                    self.flush_eob();
                    self.symbol(run, 1);
                    self.bits.put(u32::from(value > 0), 1);
                    self.put_corrections(&mut corrections);
                    run = 0;
                }
                known => corrections.push(known & 1),
            }
            // A run of sixteen zero coefficients before a new one; the nonzero ones in it get their correction bits.
            if run == 16 && last_new.is_some_and(|last| last > i) {
                self.flush_eob();
                self.symbol(15, 0);
                self.put_corrections(&mut corrections);
                run = 0;
            }
        }
        if run > 0 || !corrections.is_empty() {
            self.end_block(corrections);
        }
    }

    fn put_corrections(&mut self, corrections: &mut Vec<u32>) {
        for bit in corrections.drain(..) {
            self.bits.put(bit, 1);
        }
    }

    fn end_block(&mut self, corrections: Vec<u32>) {
        self.eob_run += 1;
        self.corrections.extend(corrections);
        if self.eob_run == 0x7fff {
            self.flush_eob();
        }
    }

    fn flush_eob(&mut self) {
        if self.eob_run > 0 {
            let n = self.eob_run.ilog2();
            self.symbol(n, 0);
            self.bits.put(self.eob_run & ((1 << n) - 1), n);
            self.eob_run = 0;
        }
        let mut corrections = std::mem::take(&mut self.corrections);
        self.put_corrections(&mut corrections);
    }
}
