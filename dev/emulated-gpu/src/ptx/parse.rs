//! Parses the text of a module into declarations and statements.

/// The variables and functions of a module, as parsed.
pub(crate) struct Source {
    pub(crate) variables: Vec<Variable>,
    pub(crate) functions: Vec<Body>,
}

/// A declared variable with its state space, alignment in bytes and initial bytes.
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) space: String,
    pub(crate) align: usize,
    pub(crate) bytes: Vec<u8>,
    /// Whether the array has no size (`[]`), which declares dynamic shared memory.
    pub(crate) external: bool,
}

/// A function or kernel with the items of its body.
pub(crate) struct Body {
    pub(crate) name: String,
    pub(crate) is_kernel: bool,
    pub(crate) returns: Vec<Variable>,
    pub(crate) params: Vec<Variable>,
    pub(crate) items: Vec<Item>,
}

/// An item in the body of a function.
pub(crate) enum Item {
    Open,
    Close,
    Label(String),
    /// A statement without its semicolon, and its line number.
    Statement(String, usize),
}

/// Parses the text of a module.
pub(crate) fn source(text: &str) -> Result<Source, String> {
    let mut reader = Reader {
        text: without_comments(text),
        at: 0,
    };
    let mut source = Source {
        variables: Vec::new(),
        functions: Vec::new(),
    };
    loop {
        reader.skip_space();
        let rest = reader.rest();
        if rest.is_empty() {
            return Ok(source);
        }
        if [".version", ".target", ".address_size", ".file"]
            .iter()
            .any(|d| rest.starts_with(d))
        {
            reader.take_until(|c| c == '\n');
            continue;
        }
        let head = reader.take_until(|c| c == ';' || c == '{');
        let words: Vec<&str> = head.split_whitespace().collect();
        let is_kernel = words.contains(&".entry");
        if is_kernel || words.contains(&".func") {
            let (name, returns, params) = header(&head)?;
            if reader.next() == Some(';') {
                continue;
            }
            let items = reader.items()?;
            source.functions.push(Body {
                name,
                is_kernel,
                returns,
                params,
                items,
            });
        } else if words.first() == Some(&".section") {
            reader.items()?;
        } else if words.is_empty() {
            reader.next();
        } else {
            let mut whole = head.clone();
            whole += &reader.take_until(|c| c == ';');
            reader.next();
            source.variables.push(variable(&whole)?);
        }
    }
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('/') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            // Keep line breaks, so that line numbers stay right.
            out.extend(rest[..end].chars().filter(|&c| c == '\n'));
            rest = &rest[end..];
        } else {
            out.push('/');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out.retain(|c| c != '\0');
    out
}

struct Reader {
    text: String,
    at: usize,
}

impl Reader {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_until(&mut self, stop: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let taken = rest[..rest.find(stop).unwrap_or(rest.len())].to_owned();
        self.at += taken.len();
        taken
    }

    /// The items of a body, after its opening brace, up to its closing brace.
    fn items(&mut self) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        let mut depth = 1;
        let (mut line, mut counted) = (1 + self.text[..self.at].matches('\n').count(), self.at);
        loop {
            self.skip_space();
            line += self.text[counted..self.at].matches('\n').count();
            counted = self.at;
            let rest = self.rest();
            match rest.chars().next() {
                None => return Err("a function does not end".into()),
                Some('{') => {
                    depth += 1;
                    self.at += 1;
                    items.push(Item::Open);
                }
                Some('}') => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Ok(items);
                    }
                    items.push(Item::Close);
                }
                Some(';') => self.at += 1,
                Some(_) => {
                    let name = rest.len() - rest.trim_start_matches(is_name).len();
                    if name > 0 && rest[name..].starts_with(':') && !rest[name..].starts_with("::")
                    {
                        items.push(Item::Label(rest[..name].to_owned()));
                        self.at += name + 1;
                        continue;
                    }
                    if rest.starts_with(".loc ") || rest.starts_with(".loc\t") {
                        self.take_until(|c| c == '\n');
                        continue;
                    }
                    let statement = self.take_until(|c| c == ';');
                    self.next();
                    let words: Vec<&str> = statement.split_whitespace().collect();
                    items.push(Item::Statement(words.join(" "), line));
                }
            }
        }
    }
}

/// Whether a character can be part of a name.
pub(crate) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '%')
}

/// The name, results and parameters of a function's declaration.
fn header(head: &str) -> Result<(String, Vec<Variable>, Vec<Variable>), String> {
    let start = head.find(".entry").map(|at| at + 6);
    let start = start
        .or_else(|| head.find(".func").map(|at| at + 5))
        .unwrap_or(0);
    let mut rest = head[start..].trim_start();
    let mut returns = Vec::new();
    if let Some(list) = rest.strip_prefix('(') {
        let (list, behind) = list
            .split_once(')')
            .ok_or("a list of results does not end")?;
        returns = variables(list)?;
        rest = behind.trim_start();
    }
    let length = rest.len() - rest.trim_start_matches(is_name).len();
    let name = rest[..length].to_owned();
    let mut params = Vec::new();
    if let Some(list) = rest[length..].trim_start().strip_prefix('(') {
        let (list, _) = list
            .split_once(')')
            .ok_or("a list of parameters does not end")?;
        params = variables(list)?;
    }
    Ok((name, returns, params))
}

fn variables(list: &str) -> Result<Vec<Variable>, String> {
    let parts = list.split(',').filter(|part| !part.trim().is_empty());
    parts.map(variable).collect()
}

/// Parses a declaration such as `.visible .global .align 4 .b8 name[24] = {1, 2}`, or that of a parameter or a local
/// variable.
pub(crate) fn variable(text: &str) -> Result<Variable, String> {
    let wrong = || format!("the declaration '{}'", text.trim());
    let (declared, value) = match text.split_once('=') {
        Some((declared, value)) => (declared, Some(value)),
        None => (text, None),
    };
    let (declared, size) = match declared.split_once('[') {
        Some((declared, size)) => (declared, Some(size.split(']').next().unwrap_or_default())),
        None => (declared, None),
    };
    let words: Vec<&str> = declared.split_whitespace().collect();
    let name = *words.last().ok_or_else(wrong)?;
    let (mut space, mut align, mut element) = (String::new(), None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            ".align" => {
                let n = words
                    .next()
                    .and_then(|n| n.parse::<usize>().ok())
                    .ok_or_else(wrong)?;
                // An alignment after `.ptr` is that of the memory to which the parameter points.
                align = align.or(Some(n));
            }
            ".global" | ".const" | ".shared" | ".local" | ".param" if space.is_empty() => {
                space = word[1..].to_owned();
            }
            ".pred" => element = Some(1),
            _ => {
                let bits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
                let typed = word.len() == 3 || word.len() == 4;
                if word.starts_with('.') && typed && element.is_none() {
                    element = bits.parse::<usize>().ok().map(|bits| bits / 8);
                }
            }
        }
    }
    let element = element.filter(|&e| e > 0).ok_or_else(wrong)?;
    let external = size.is_some_and(|size| size.trim().is_empty());
    let count = match size.map(str::trim) {
        None => 1,
        Some("") => 0,
        Some(size) => size.parse::<usize>().map_err(|_| wrong())?,
    };
    let mut bytes = vec![0; count * element];
    if let Some(value) = value {
        let list = value.trim().trim_start_matches('{').trim_end_matches('}');
        for (at, number) in list.split(',').map(str::trim).enumerate() {
            let bits = immediate(number).ok_or_else(wrong)?;
            let place = bytes
                .get_mut(at * element..(at + 1) * element)
                .ok_or_else(wrong)?;
            place.copy_from_slice(&bits.to_le_bytes()[..element]);
        }
    }
    let is_parameter = space == "param";
    Ok(Variable {
        name: name.to_owned(),
        space,
        // `.ptr .align` of a parameter does not change the parameter's own alignment.
        align: if is_parameter && size.is_none() {
            element
        } else {
            align.unwrap_or(element)
        },
        bytes,
        external,
    })
}

/// The bits of a number in PTX syntax: `-7`, `0x7FU`, `0f3F800000`, `0d3FF0000000000000`, `1.5` (as f64).
pub(crate) fn immediate(text: &str) -> Option<u64> {
    if text.contains('.') {
        return text.parse::<f64>().ok().map(f64::to_bits);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0f").or(lower.strip_prefix("0d")) {
        u64::from_str_radix(hex, 16).ok()?
    } else if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex.trim_end_matches('u'), 16).ok()?
    } else {
        lower.trim_end_matches('u').parse::<u64>().ok()?
    };
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}
