//! Huffman codes, and the bit reader for entropy-coded data.

/// A Huffman code as the file defines it: the number of codes of each length of 1 to 16 bits, and their symbols in
/// order of length.
pub struct Code {
    counts: [u8; 16],
    symbols: Vec<u8>,
}

impl Code {
    /// Reads one table of a DHT segment; `bytes` starts after the byte with its class and number. Returns the table and
    /// the bytes after it. `None` if there are too few bytes.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = bytes.split_first_chunk::<16>()?;
        let n_symbols = counts.iter().map(|&n| usize::from(n)).sum();
        let (symbols, rest) = rest.split_at_checked(n_symbols)?;
        let code = Self {
            counts: *counts,
            symbols: symbols.to_vec(),
        };
        Some((code, rest))
    }
}

/// Longest code in bits that one table lookup resolves.
const LOOKAHEAD: u32 = 10;

/// Value of [`Symbol::advance`] for the symbol that ends a block. Added to the index of any coefficient, it gives an
/// index beyond the last one (63).
pub const END_OF_BLOCK: u32 = 128;

/// A Huffman code with its lookup tables.
pub struct Huffman {
    lookup: Vec<Symbol>,
    /// Indexed by code length: the first number beyond the codes of this length, left-aligned in 16 bits; and the
    /// difference between the index of a symbol in `symbols` and its code.
    longer: [(u32, i32); 17],
    symbols: Vec<Symbol>,
}

/// A Huffman symbol, with its meaning in a sequential block.
#[derive(Clone, Copy, Default)]
pub struct Symbol {
    /// Bits of the code and of the value after it together; 0 in the lookup table where no short code matches.
    pub n_bits: u8,
    /// Bits of the code alone.
    pub n_code: u8,
    /// Number of coefficients that the symbol covers, or [`END_OF_BLOCK`].
    pub advance: u8,
    /// The symbol itself: run of zeros in the upper 4 bits, size of the value in bits in the lower 4.
    pub raw: u8,
}

impl Symbol {
    fn new(raw: u8, n_code: u8) -> Self {
        let size = raw & 15;
        Self {
            n_bits: n_code + size,
            n_code,
            advance: match raw {
                0xf0 => 16,
                _ if size == 0 => END_OF_BLOCK as u8,
                raw => (raw >> 4) + 1,
            },
            raw,
        }
    }
}

impl Huffman {
    /// Builds the lookup tables; `None` for a code that is not a prefix code or has a code word that consists of ones
    /// only, as in libjpeg.
    pub fn new(code: &Code) -> Option<Self> {
        let mut lookup = vec![Symbol::default(); 1 << LOOKAHEAD];
        let mut longer = [(0, 0); 17];
        let mut symbols = Vec::with_capacity(code.symbols.len());
        let mut next = 0u32;
        for (n_bits, &count) in (1u32..).zip(&code.counts) {
            let first = symbols.len();
            longer[n_bits as usize].1 = first as i32 - next as i32;
            for &raw in &code.symbols[first..first + usize::from(count)] {
                let symbol = Symbol::new(raw, n_bits as u8);
                if n_bits <= LOOKAHEAD {
                    let free = LOOKAHEAD - n_bits;
                    let start = (next << free) as usize;
                    lookup.get_mut(start..start + (1 << free))?.fill(symbol);
                }
                symbols.push(symbol);
                next += 1;
            }
            // The standard reserves the code word that consists of ones only.
            if count > 0 && next >= 1 << n_bits {
                return None;
            }
            longer[n_bits as usize].0 = next << (16 - n_bits);
            next <<= 1;
        }
        Some(Self {
            lookup,
            longer,
            symbols,
        })
    }

    /// Whether all symbols are sizes of DC differences, 0 to 15.
    pub fn is_dc(&self) -> bool {
        self.symbols.iter().all(|symbol| symbol.raw <= 15)
    }

    /// The symbol at the front of `bits`, which are not consumed; `None` if no code matches. At least 16 bits must be
    /// in the buffer, see [`Bits::refill`].
    #[inline(always)]
    pub fn peek(&self, bits: &Bits<'_>) -> Option<Symbol> {
        let symbol = self.lookup[bits.peek(LOOKAHEAD) as usize];
        if symbol.n_bits == 0 {
            return self.peek_longer(bits);
        }
        Some(symbol)
    }

    /// The symbol whose code is at the front (the upper end) of 32 bits; `None` if no code of at most 10 bits matches.
    pub fn short(&self, front: u32) -> Option<Symbol> {
        let symbol = self.lookup[(front >> (32 - LOOKAHEAD)) as usize];
        (symbol.n_bits > 0).then_some(symbol)
    }

    #[cold]
    fn peek_longer(&self, bits: &Bits<'_>) -> Option<Symbol> {
        let front = bits.peek(16);
        let n_bits = (LOOKAHEAD as usize + 1..=16).find(|&n| front < self.longer[n].0)?;
        let code = (front >> (16 - n_bits)) as i32;
        let place = usize::try_from(code + self.longer[n_bits].1).ok()?;
        self.symbols.get(place).copied()
    }
}

/// Bit reader of one entropy-coded segment, from which stuffed zeros have been removed. After the end it reads zeros.
#[derive(Clone, Copy)]
pub struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, left-aligned; `count` of them are valid.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Starts at the first bit.
    pub fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Fills the buffer up to at least 56 bits.
    #[inline(always)]
    pub fn refill(&mut self) {
        if let Some(word) = self.data.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            self.buffer |= u64::from_be_bytes(*word) >> self.count;
            self.at += ((63 - self.count) >> 3) as usize;
            self.count |= 56;
        } else {
            self.refill_at_end();
        }
    }

    #[cold]
    fn refill_at_end(&mut self) {
        // Bits of the buffer after the first `count` may already hold a part of the next byte.
        self.buffer &= !(u64::MAX >> self.count);
        while self.count <= 56 {
            let byte = self.data.get(self.at).copied().unwrap_or(0);
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.at += 1;
            self.count += 8;
        }
    }

    /// The next `n` bits (1 to 16), not consumed; they must already be in the buffer, see [`refill`](Self::refill).
    #[inline(always)]
    pub fn peek(&self, n: u32) -> u32 {
        (self.buffer >> (64 - n)) as u32
    }

    /// Discards the next `n` bits (0 to 31); they must already be in the buffer, see [`refill`](Self::refill).
    #[inline(always)]
    pub fn consume(&mut self, n: u32) {
        self.buffer <<= n;
        self.count -= n;
    }

    /// Reads and consumes the next `n` bits (0 to 16); they must already be in the buffer, see
    /// [`refill`](Self::refill).
    #[inline(always)]
    pub fn take(&mut self, n: u32) -> u32 {
        // Two shifts, since a shift by 64 bits overflows.
        let value = (self.buffer >> 1 >> (63 - n)) as u32;
        self.consume(n);
        value
    }

    /// Discards the next `n` bits, any number; the buffer is filled as needed.
    #[inline(always)]
    pub fn skip(&mut self, mut n: u32) {
        while n > 0 {
            self.refill();
            let ready = n.min(32);
            self.buffer <<= ready;
            self.count -= ready;
            n -= ready;
        }
    }

    /// Reads and consumes one bit; the buffer is filled if it is empty.
    #[inline(always)]
    pub fn take_bit(&mut self) -> bool {
        if self.count == 0 {
            self.refill();
        }
        self.take(1) != 0
    }

    /// Number of bits between the position and the end of the data, negative after the end.
    #[inline(always)]
    pub fn left(&self) -> isize {
        8 * (self.data.len() as isize - self.at as isize) + self.count as isize
    }
}

/// The signed value that `n` bits after a Huffman code stand for (T.81, F.1.2.1): with a first bit of 0 it is negative,
/// `bits - (2^n - 1)`.
#[inline(always)]
pub fn extend(bits: u32, n: u32) -> i32 {
    if n == 0 || bits >> (n - 1) != 0 {
        bits as i32
    } else {
        bits as i32 - (1 << n) + 1
    }
}

/// Returns one of the four standard Huffman tables of T.81, Annex K.3, which frames of Motion JPEG leave out.
pub fn standard(is_ac: bool, is_chroma: bool) -> Code {
    let (counts, symbols): ([u8; 16], &[u8]) = match (is_ac, is_chroma) {
        (false, false) => (
            [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        ),
        (false, true) => (
            [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        ),
        (true, false) => ([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125], &AC_LUMA),
        (true, true) => (
            [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
            &AC_CHROMA,
        ),
    };
    Code {
        counts,
        symbols: symbols.to_vec(),
    }
}

const AC_LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

const AC_CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];
