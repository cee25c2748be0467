//! Decodes statements to instructions. Registers and constants become slots of one array, and labels become indices.

use std::collections::HashMap;

use super::parse::{Body, Item, immediate, is_name, variable};
use crate::float::Round;

/// A type of PTX; the number in `B`, `U` and `S` is the size in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ty {
    Pred,
    B(u8),
    U(u8),
    S(u8),
    F16,
    Bf16,
    F16x2,
    Bf16x2,
    F32,
    F64,
}

impl Ty {
    fn of(text: &str) -> Option<Ty> {
        let bytes = |text: &str| match text {
            "8" => Some(1),
            "16" => Some(2),
            "32" => Some(4),
            "64" => Some(8),
            _ => None,
        };
        Some(match text {
            "pred" => Ty::Pred,
            "f16" => Ty::F16,
            "bf16" => Ty::Bf16,
            "f16x2" => Ty::F16x2,
            "bf16x2" => Ty::Bf16x2,
            "f32" => Ty::F32,
            "f64" => Ty::F64,
            _ if text.starts_with('b') => Ty::B(bytes(&text[1..])?),
            _ if text.starts_with('u') => Ty::U(bytes(&text[1..])?),
            _ if text.starts_with('s') => Ty::S(bytes(&text[1..])?),
            _ => return None,
        })
    }

    pub(crate) fn size(self) -> usize {
        match self {
            Ty::Pred => 1,
            Ty::B(n) | Ty::U(n) | Ty::S(n) => n.into(),
            Ty::F16 | Ty::Bf16 => 2,
            Ty::F16x2 | Ty::Bf16x2 | Ty::F32 => 4,
            Ty::F64 => 8,
        }
    }

    pub(crate) fn is_float(self) -> bool {
        !matches!(self, Ty::Pred | Ty::B(_) | Ty::U(_) | Ty::S(_))
    }
}

/// A state space of PTX.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Space {
    /// The address itself says which space it is in.
    Generic,
    Global,
    Shared,
    Local,
    /// The parameters of a kernel launch.
    Param,
}

/// Generic addresses in these spaces are marked by their upper bits, which addresses of the CPU never use.
pub(crate) const SHARED_WINDOW: u64 = 1 << 60;
pub(crate) const LOCAL_WINDOW: u64 = 2 << 60;
pub(crate) const PARAM_WINDOW: u64 = 3 << 60;
pub(crate) const WINDOWS: u64 = 15 << 60;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// True if neither operand is NaN.
    Num,
    Nan,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Atomic {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exchange,
    CompareAndSwap,
    Increment,
    Decrement,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shuffle {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Nothing,
    Add,
    Sub,
    Mul,
    MulHigh,
    MulWide,
    Mad,
    MadHigh,
    MadWide,
    Div,
    Rem,
    Abs,
    Neg,
    Min,
    Max,
    Fma,
    And,
    Or,
    Xor,
    Not,
    Shl,
    Shr,
    FunnelLeft,
    FunnelRight,
    Mov,
    Pack,
    Unpack,
    Select,
    SelectSign,
    /// A comparison; with `true`, an unordered one, which holds if an operand is NaN.
    SetPredicate(Compare, bool),
    Set(Compare, bool),
    Convert,
    ConvertPair,
    ToGeneric(Space),
    FromGeneric,
    Load(Space),
    Store(Space),
    Atomic(Atomic, Space),
    Branch,
    Return,
    Barrier,
    Shuffle(Shuffle),
    Call,
    Rcp,
    Sqrt,
    Rsqrt,
    Sin,
    Cos,
    Exp2,
    Log2,
    Tanh,
    CopySign,
    BitExtract,
    BitInsert,
    PopCount,
    LeadingZeros,
    BitReverse,
    Permute,
    Trap,
    Unknown,
}

/// The value of a guard or slot that is absent.
pub(crate) const NONE: u32 = u32::MAX;

/// A decoded instruction. `d`, `d2` and `s` are the slots of its results and operands.
#[derive(Clone, Debug)]
pub(crate) struct Inst {
    pub(crate) op: Op,
    pub(crate) ty: Ty,
    /// The type of the source operand, where the instruction has two types.
    pub(crate) from: Ty,
    pub(crate) round: Round,
    /// Whether the result is rounded to an integral value (`.rni` and similar modifiers).
    pub(crate) whole: bool,
    pub(crate) ftz: bool,
    pub(crate) sat: bool,
    /// Whether the instruction writes the carry flag (`.cc`); `carry_in` is whether it adds the flag.
    pub(crate) carry_out: bool,
    pub(crate) carry_in: bool,
    /// Whether it has the modifier `.approx`.
    pub(crate) approx: bool,
    /// Whether it has the modifier `.NaN`.
    pub(crate) nan: bool,
    pub(crate) d: u32,
    pub(crate) d2: u32,
    pub(crate) s: [u32; 4],
    pub(crate) offset: i64,
    /// The guard: the slot of a predicate times two, plus one if the predicate must be false.
    pub(crate) guard: u32,
    /// The slots of a vector operand, or those of the results and arguments of a call.
    pub(crate) list: Vec<u32>,
    pub(crate) results: usize,
    /// The index of a branch's target instruction or of a called function.
    pub(crate) target: usize,
}

/// The meaning of a name in a function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Symbol {
    /// The slot of a register.
    Register(u32),
    /// The address of a variable in its state space.
    Address(u64),
    /// Dynamic shared memory, which follows the shared variables.
    DynamicShared,
    /// An offset in bytes in the function's frame.
    Frame(u64),
}

/// The first slots hold zero and then the special registers of each thread, in the order of `SPECIAL`.
pub(crate) const ZERO: u32 = 0;
const SPECIAL: [&str; 15] = [
    "%zero",
    "%tid.x",
    "%tid.y",
    "%tid.z",
    "%ntid.x",
    "%ntid.y",
    "%ntid.z",
    "%ctaid.x",
    "%ctaid.y",
    "%ctaid.z",
    "%nctaid.x",
    "%nctaid.y",
    "%nctaid.z",
    "%laneid",
    "%warpid",
];
pub(crate) const TID: usize = 1;
pub(crate) const NTID: usize = 4;
pub(crate) const CTAID: usize = 7;
pub(crate) const NCTAID: usize = 10;
pub(crate) const LANE: usize = 13;
pub(crate) const WARP: usize = 14;

/// A decoded function.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) is_kernel: bool,
    pub(crate) code: Vec<Inst>,
    /// The source line and text of each instruction.
    pub(crate) texts: Vec<(usize, String)>,
    /// The initial values of all slots; those of constants never change.
    pub(crate) places: Vec<u64>,
    /// The slots that hold addresses in the frame; their initial values are offsets.
    pub(crate) framed: Vec<u32>,
    /// Offset and size in bytes of each parameter: in the launch's parameters for kernels, in the frame for functions.
    pub(crate) params: Vec<(usize, usize)>,
    pub(crate) returns: Vec<(usize, usize)>,
    pub(crate) frame: usize,
    pub(crate) shared: usize,
    /// Whether the function has instructions at which threads wait for each other (barriers or shuffles).
    pub(crate) waits: bool,
}

struct Decoder<'a> {
    module: &'a HashMap<String, Symbol>,
    functions: &'a HashMap<String, usize>,
    scopes: Vec<HashMap<String, Symbol>>,
    places: Vec<u64>,
    constants: HashMap<u64, u32>,
    frame_places: HashMap<u64, u32>,
    dynamic: Option<u32>,
    frame: usize,
    shared: usize,
    labels: HashMap<String, usize>,
    is_kernel: bool,
}

/// Decodes one function of a module with `shared` bytes of shared variables.
pub(crate) fn function(
    body: &Body,
    module: &HashMap<String, Symbol>,
    functions: &HashMap<String, usize>,
    shared: usize,
) -> Result<Function, String> {
    let mut decoder = Decoder {
        module,
        functions,
        scopes: vec![HashMap::new()],
        places: vec![0; SPECIAL.len()],
        constants: HashMap::from([(0, ZERO)]),
        frame_places: HashMap::new(),
        dynamic: None,
        frame: 0,
        shared,
        labels: HashMap::new(),
        is_kernel: body.is_kernel,
    };
    for (place, name) in SPECIAL.iter().enumerate() {
        decoder.declare(name, Symbol::Register(place as u32));
    }
    let (mut params, mut returns, mut offset) = (Vec::new(), Vec::new(), 0usize);
    for (list, variables) in [(&mut params, &body.params), (&mut returns, &body.returns)] {
        for v in variables {
            if body.is_kernel {
                offset = offset.next_multiple_of(v.align);
                list.push((offset, v.bytes.len()));
                decoder.declare(&v.name, Symbol::Address(offset as u64));
                offset += v.bytes.len();
            } else {
                let at = decoder.in_frame(v.bytes.len(), v.align);
                list.push((at as usize, v.bytes.len()));
                decoder.declare(&v.name, Symbol::Frame(at));
            }
        }
    }
    let mut count = 0;
    for item in &body.items {
        match item {
            Item::Label(name) => {
                decoder.labels.insert(name.clone(), count);
            }
            Item::Statement(text, _) if !text.starts_with('.') => count += 1,
            _ => {}
        }
    }
    let (mut code, mut texts) = (Vec::new(), Vec::new());
    for item in &body.items {
        match item {
            Item::Open => decoder.scopes.push(HashMap::new()),
            Item::Close => {
                decoder.scopes.pop();
            }
            Item::Label(_) => {}
            Item::Statement(text, _) if text.starts_with('.') => decoder.declaration(text)?,
            Item::Statement(text, line) => {
                let inst = decoder.instruction(text).unwrap_or_else(|| Inst {
                    op: Op::Unknown,
                    ..empty()
                });
                code.push(inst);
                texts.push((*line, text.clone()));
            }
        }
    }
    if let Some(place) = decoder.dynamic {
        decoder.shared = decoder.shared.next_multiple_of(16);
        decoder.places[place as usize] = decoder.shared as u64;
    }
    let waits = code
        .iter()
        .any(|inst| matches!(inst.op, Op::Barrier | Op::Shuffle(_)));
    Ok(Function {
        name: body.name.clone(),
        is_kernel: body.is_kernel,
        code,
        texts,
        framed: decoder.frame_places.values().copied().collect(),
        places: decoder.places,
        params,
        returns,
        frame: decoder.frame.next_multiple_of(16),
        shared: decoder.shared,
        waits,
    })
}

fn empty() -> Inst {
    Inst {
        op: Op::Nothing,
        ty: Ty::Pred,
        from: Ty::Pred,
        round: Round::Nearest,
        whole: false,
        ftz: false,
        sat: false,
        carry_out: false,
        carry_in: false,
        approx: false,
        nan: false,
        d: NONE,
        d2: NONE,
        s: [ZERO; 4],
        offset: 0,
        guard: NONE,
        list: Vec::new(),
        results: 0,
        target: 0,
    }
}

impl Decoder<'_> {
    fn declare(&mut self, name: &str, symbol: Symbol) {
        let scope = self.scopes.last_mut().expect("there is always one");
        scope.insert(name.to_owned(), symbol);
    }

    fn in_frame(&mut self, size: usize, align: usize) -> u64 {
        self.frame = self.frame.next_multiple_of(align);
        self.frame += size;
        (self.frame - size) as u64
    }

    fn declaration(&mut self, text: &str) -> Result<(), String> {
        if let Some(list) = text.strip_prefix(".reg") {
            let list = list.trim_start().trim_start_matches(|c| c != ' ');
            for name in list.split(',').map(str::trim) {
                let Some((stem, count)) = name.split_once('<') else {
                    let place = self.place(0);
                    self.declare(name, Symbol::Register(place));
                    continue;
                };
                let count = count.trim_end_matches('>').parse::<usize>();
                for i in 0..count.map_err(|_| format!("the declaration '{text}'"))? {
                    let place = self.place(0);
                    self.declare(&format!("{stem}{i}"), Symbol::Register(place));
                }
            }
            return Ok(());
        }
        if ![".local", ".shared", ".param", ".extern"]
            .iter()
            .any(|d| text.starts_with(d))
        {
            return Ok(());
        }
        let v = variable(text)?;
        let symbol = match v.space.as_str() {
            "shared" if v.external => Symbol::DynamicShared,
            "shared" => {
                self.shared = self.shared.next_multiple_of(v.align);
                self.shared += v.bytes.len();
                Symbol::Address((self.shared - v.bytes.len()) as u64)
            }
            _ => Symbol::Frame(self.in_frame(v.bytes.len(), v.align)),
        };
        self.declare(&v.name, symbol);
        Ok(())
    }

    fn place(&mut self, value: u64) -> u32 {
        self.places.push(value);
        (self.places.len() - 1) as u32
    }

    fn constant(&mut self, value: u64) -> u32 {
        if let Some(&place) = self.constants.get(&value) {
            return place;
        }
        let place = self.place(value);
        self.constants.insert(value, place);
        place
    }

    fn symbol(&self, name: &str) -> Option<Symbol> {
        let inner = self.scopes.iter().rev().find_map(|scope| scope.get(name));
        inner.or_else(|| self.module.get(name)).copied()
    }

    /// The slot of an operand: a register, a constant or an address.
    fn operand(&mut self, text: &str) -> Option<u32> {
        if text == "_" {
            return Some(self.place(0));
        }
        if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return immediate(text).map(|value| self.constant(value));
        }
        match text {
            "WARP_SZ" => return Some(self.constant(32)),
            "%dynamic_smem_size" | "%clock" | "%clock64" => return None,
            _ => {}
        }
        Some(match self.symbol(text)? {
            Symbol::Register(place) => place,
            Symbol::Address(address) => self.constant(address),
            Symbol::DynamicShared => match self.dynamic {
                Some(place) => place,
                None => {
                    let place = self.place(0);
                    *self.dynamic.insert(place)
                }
            },
            Symbol::Frame(offset) => match self.frame_places.get(&offset) {
                Some(&place) => place,
                None => {
                    let place = self.place(offset);
                    self.frame_places.insert(offset, place);
                    place
                }
            },
        })
    }

    /// Decodes an address operand such as `[%rd1+8]` or `[name]`.
    fn address(&mut self, text: &str, inst: &mut Inst) -> Option<()> {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?.replace(' ', "");
        let length = inner.len() - inner.trim_start_matches(|c| is_name(c) || c == '.').len();
        let (base, offset) = inner.split_at(length);
        inst.s[0] = self.operand(base)?;
        let offset = offset.trim_start_matches('+');
        if !offset.is_empty() {
            inst.offset = immediate(offset)? as i64;
        }
        Some(())
    }

    fn many(&mut self, text: &str) -> Option<Vec<u32>> {
        match text.strip_prefix('{') {
            Some(list) => {
                let list = list.strip_suffix('}')?;
                list.split(',')
                    .map(|one| self.operand(one.trim()))
                    .collect()
            }
            None => Some(vec![self.operand(text)?]),
        }
    }

    fn instruction(&mut self, text: &str) -> Option<Inst> {
        let mut inst = empty();
        let mut text = text.trim();
        if let Some(guarded) = text.strip_prefix('@') {
            let (guard, rest) = guarded.split_once(' ')?;
            let (name, negative) = match guard.strip_prefix('!') {
                Some(name) => (name, 1),
                None => (guard, 0),
            };
            inst.guard = self.operand(name)? * 2 + negative;
            text = rest.trim();
        }
        let (name, rest) = text
            .split_once([' ', '{', '['])
            .map_or((text, ""), |(name, _)| (name, text[name.len()..].trim()));
        let mut parts = name.split('.');
        let op = parts.next()?;
        let parts: Vec<&str> = parts.collect();
        let types: Vec<Ty> = parts.iter().filter_map(|part| Ty::of(part)).collect();
        inst.ty = types.first().copied().unwrap_or(Ty::Pred);
        inst.from = types.get(1).copied().unwrap_or(inst.ty);
        let has = |part: &str| parts.contains(&part);
        for part in &parts {
            let rounding = match *part {
                "rz" | "rzi" => Round::Zero,
                "rm" | "rmi" => Round::Down,
                "rp" | "rpi" => Round::Up,
                _ => continue,
            };
            inst.round = rounding;
        }
        inst.whole = ["rni", "rzi", "rmi", "rpi"].iter().any(|part| has(part));
        (inst.ftz, inst.sat, inst.approx) = (has("ftz"), has("sat"), has("approx"));
        inst.nan = has("NaN");
        inst.carry_out = has("cc");
        inst.carry_in = matches!(op, "addc" | "subc" | "madc");
        if matches!(op, "call") {
            return self.call(rest, inst);
        }
        let operands = split(rest);
        let space = self.space(&parts, &operands);
        inst.op = operation(op, &parts, space)?;
        match inst.op {
            Op::Branch => inst.target = *self.labels.get(operands.first()?.as_str())?,
            Op::Return | Op::Trap | Op::Nothing => {}
            Op::Barrier => {
                if operands.len() > 1 {
                    return None;
                }
                if let Some(number) = operands.first() {
                    inst.s[0] = self.operand(number)?;
                }
            }
            Op::Load(_) => {
                inst.list = self.many(operands.first()?)?;
                self.address(operands.get(1)?, &mut inst)?;
            }
            Op::Store(_) => {
                self.address(operands.first()?, &mut inst)?;
                inst.list = self.many(operands.get(1)?)?;
            }
            Op::Atomic(..) => {
                let skip = usize::from(op == "atom");
                inst.d = match skip {
                    0 => self.place(0),
                    _ => self.operand(operands.first()?)?,
                };
                self.address(operands.get(skip)?, &mut inst)?;
                for (i, text) in operands.iter().skip(skip + 1).enumerate() {
                    *inst.s.get_mut(i + 1)? = self.operand(text)?;
                }
            }
            Op::Mov if operands.first()?.starts_with('{') => {
                inst.op = Op::Unpack;
                inst.list = self.many(&operands[0])?;
                inst.s[0] = self.operand(operands.get(1)?)?;
            }
            Op::Mov if operands.get(1)?.starts_with('{') => {
                inst.op = Op::Pack;
                inst.d = self.operand(&operands[0])?;
                inst.list = self.many(&operands[1])?;
            }
            _ => {
                let mut d = operands.first()?.as_str();
                if let Some((first, second)) = d.split_once('|') {
                    inst.d2 = self.operand(second.trim())?;
                    d = first.trim();
                }
                inst.d = self.operand(d)?;
                for (i, text) in operands.iter().skip(1).enumerate() {
                    let negated = text.strip_prefix('!');
                    if negated.is_some() {
                        return None;
                    }
                    *inst.s.get_mut(i)? = self.operand(text)?;
                }
                let wanted = sources(inst.op);
                if operands.len() - 1 < wanted.0 || operands.len() - 1 > wanted.1 {
                    return None;
                }
                if matches!(inst.op, Op::Convert) && operands.len() == 3 {
                    inst.op = Op::ConvertPair;
                }
            }
        }
        Some(inst)
    }

    /// Decodes the operands of a call: `(results), name, (arguments)`.
    fn call(&mut self, text: &str, mut inst: Inst) -> Option<Inst> {
        inst.op = Op::Call;
        let mut rest = text.trim();
        if let Some(list) = rest.strip_prefix('(') {
            let (list, behind) = list.split_once(')')?;
            inst.list = list
                .split(',')
                .map(|one| self.operand(one.trim()))
                .collect::<Option<_>>()?;
            rest = behind.trim_start().strip_prefix(',')?.trim_start();
        }
        inst.results = inst.list.len();
        let (name, arguments) = rest.split_once(',').unwrap_or((rest, "()"));
        if name.trim() == "__assertfail" {
            // A failed assertion calls this function, which has no body.
            inst.op = Op::Trap;
            return Some(inst);
        }
        inst.target = *self.functions.get(name.trim())?;
        let arguments = arguments.trim().strip_prefix('(')?.strip_suffix(')')?;
        for one in arguments
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
        {
            let place = self.operand(one)?;
            inst.list.push(place);
        }
        Some(inst)
    }

    fn space(&self, parts: &[&str], operands: &[String]) -> Space {
        for part in parts {
            match part.split("::").next().unwrap_or_default() {
                "global" | "const" => return Space::Global,
                "shared" => return Space::Shared,
                "local" => return Space::Local,
                "param" => {
                    // Parameters of a kernel are in the launch's memory; those of calls are in the frame.
                    let text = operands.iter().find(|o| o.starts_with('['));
                    let name = text.map(|t| t.trim_start_matches('['));
                    let name = name.map(|t| &t[..t.len() - t.trim_start_matches(is_name).len()]);
                    let symbol = name.and_then(|name| self.symbol(name));
                    return match symbol {
                        Some(Symbol::Frame(_)) => Space::Local,
                        _ if self.is_kernel => Space::Param,
                        _ => Space::Local,
                    };
                }
                _ => {}
            }
        }
        Space::Generic
    }
}

/// Splits at commas that are not inside braces, brackets or parentheses.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("there is one").push(c);
        }
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// The smallest and the largest number of source operands of an operation.
fn sources(op: Op) -> (usize, usize) {
    match op {
        Op::Mad | Op::MadHigh | Op::MadWide | Op::Fma | Op::Select | Op::SelectSign => (3, 3),
        Op::BitExtract | Op::FunnelLeft | Op::FunnelRight => (3, 3),
        Op::Permute => (3, 3),
        Op::BitInsert | Op::Shuffle(_) => (4, 4),
        Op::Convert => (1, 2),
        Op::Add | Op::Sub | Op::Mul | Op::MulHigh | Op::MulWide | Op::Div | Op::Rem => (2, 2),
        Op::Min | Op::Max | Op::And | Op::Or | Op::Xor | Op::Shl | Op::Shr => (2, 2),
        Op::SetPredicate(..) | Op::Set(..) | Op::CopySign => (2, 2),
        _ => (1, 1),
    }
}

fn operation(op: &str, parts: &[&str], space: Space) -> Option<Op> {
    let has = |part: &str| parts.contains(&part);
    let integer = |low, high, wide| {
        if has("hi") {
            high
        } else if has("wide") {
            wide
        } else {
            low
        }
    };
    Some(match op {
        "add" | "addc" => Op::Add,
        "sub" | "subc" => Op::Sub,
        "mul" => integer(Op::Mul, Op::MulHigh, Op::MulWide),
        "mad" if has("f32") || has("f64") => Op::Fma,
        "mad" | "madc" => integer(Op::Mad, Op::MadHigh, Op::MadWide),
        "div" => Op::Div,
        "rem" => Op::Rem,
        "abs" => Op::Abs,
        "neg" => Op::Neg,
        "min" if !has("xorsign") => Op::Min,
        "max" if !has("xorsign") => Op::Max,
        "fma" if !has("relu") => Op::Fma,
        "and" => Op::And,
        "or" => Op::Or,
        "xor" => Op::Xor,
        "not" => Op::Not,
        "shl" => Op::Shl,
        "shr" => Op::Shr,
        "shf" if has("l") => Op::FunnelLeft,
        "shf" => Op::FunnelRight,
        "mov" => Op::Mov,
        "selp" => Op::Select,
        "slct" => Op::SelectSign,
        "setp" | "set" => {
            let (compare, unordered) = parts.iter().find_map(|part| compare(part))?;
            // Comparisons that are combined with another predicate are not supported.
            if ["and", "or", "xor"].iter().any(|part| has(part)) {
                return None;
            }
            match op {
                "setp" => Op::SetPredicate(compare, unordered),
                _ => Op::Set(compare, unordered),
            }
        }
        "cvt" if !has("relu") => Op::Convert,
        "cvta" if has("to") => Op::FromGeneric,
        "cvta" => Op::ToGeneric(space),
        "ld" | "ldu" => Op::Load(space),
        "st" => Op::Store(space),
        "atom" | "red" => Op::Atomic(parts.iter().find_map(|part| atomic(part))?, space),
        "bra" => Op::Branch,
        "ret" | "exit" => Op::Return,
        "bar" | "barrier" if has("warp") => Op::Nothing,
        "bar" | "barrier" if has("sync") => Op::Barrier,
        "membar" | "fence" | "pragma" | "prefetch" | "discard" | "nanosleep" => Op::Nothing,
        "shfl" if has("sync") => Op::Shuffle(parts.iter().find_map(|part| match *part {
            "up" => Some(Shuffle::Up),
            "down" => Some(Shuffle::Down),
            "bfly" => Some(Shuffle::Butterfly),
            "idx" => Some(Shuffle::Index),
            _ => None,
        })?),
        "rcp" => Op::Rcp,
        "sqrt" => Op::Sqrt,
        "rsqrt" => Op::Rsqrt,
        "sin" => Op::Sin,
        "cos" => Op::Cos,
        "ex2" => Op::Exp2,
        "lg2" => Op::Log2,
        "tanh" => Op::Tanh,
        "copysign" => Op::CopySign,
        "bfe" => Op::BitExtract,
        "bfi" => Op::BitInsert,
        "popc" => Op::PopCount,
        "clz" => Op::LeadingZeros,
        "brev" => Op::BitReverse,
        "prmt" if parts == ["b32"] => Op::Permute,
        "trap" => Op::Trap,
        _ => return None,
    })
}

fn compare(part: &str) -> Option<(Compare, bool)> {
    Some(match part {
        "eq" => (Compare::Eq, false),
        "ne" => (Compare::Ne, false),
        "lt" | "lo" => (Compare::Lt, false),
        "le" | "ls" => (Compare::Le, false),
        "gt" | "hi" => (Compare::Gt, false),
        "ge" | "hs" => (Compare::Ge, false),
        "equ" => (Compare::Eq, true),
        "neu" => (Compare::Ne, true),
        "ltu" => (Compare::Lt, true),
        "leu" => (Compare::Le, true),
        "gtu" => (Compare::Gt, true),
        "geu" => (Compare::Ge, true),
        "num" => (Compare::Num, false),
        "nan" => (Compare::Nan, false),
        _ => return None,
    })
}

fn atomic(part: &str) -> Option<Atomic> {
    Some(match part {
        "add" => Atomic::Add,
        "min" => Atomic::Min,
        "max" => Atomic::Max,
        "and" => Atomic::And,
        "or" => Atomic::Or,
        "xor" => Atomic::Xor,
        "exch" => Atomic::Exchange,
        "cas" => Atomic::CompareAndSwap,
        "inc" => Atomic::Increment,
        "dec" => Atomic::Decrement,
        _ => return None,
    })
}
