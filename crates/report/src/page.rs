//! The page itself.

use crate::base64;
use crate::histogram::Histogram;
use std::fmt::Write;

/// One picture of a contact sheet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tile {
    /// A JPEG.
    pub jpeg: Vec<u8>,
    /// Width over height that it is shown with, in percent; 100 is square.
    pub aspect_percent: u32,
    /// A short line below.
    pub caption: String,
    /// All there is to say, shown when pointed at.
    pub details: String,
    /// What a click puts on the exclusion list (`sha256:...`); nothing when empty.
    pub exclude_key: String,
}

/// A page under construction.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
    has_keys: bool,
}

/// Escapes text for HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            body: String::new(),
            has_keys: false,
        }
    }

    /// A heading of a section; `id` makes it a target for links.
    pub fn heading(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.body, "<h2>{}</h2>", escape(text));
        self
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.body, "<p>{}</p>", escape(text));
        self
    }

    /// A table; the last column is drawn as a bar when `has_bars` and its cells are numbers.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>], has_bars: bool) -> &mut Self {
        self.body.push_str("<table><tr>");
        for cell in header {
            let _ = write!(self.body, "<th>{}</th>", escape(cell));
        }
        self.body.push_str("</tr>");
        let number = |row: &Vec<String>| row.last().and_then(|cell| cell.parse::<f64>().ok());
        let most = rows.iter().filter_map(number).fold(1.0, f64::max);
        for row in rows {
            self.body.push_str("<tr>");
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escape(cell));
            }
            if has_bars && let Some(value) = number(row) {
                let _ = write!(
                    self.body,
                    "<td class=\"bar\"><i style=\"width:{:.1}%\"></i></td>",
                    value / most * 100.0
                );
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</table>");
        self
    }

    /// Histograms side by side.
    pub fn histograms(&mut self, histograms: &[Histogram]) -> &mut Self {
        self.body.push_str("<div class=\"plots\">");
        for histogram in histograms {
            let _ = write!(
                self.body,
                "<figure><figcaption>{}</figcaption>{}</figure>",
                escape(&histogram.title),
                histogram.to_svg()
            );
        }
        self.body.push_str("</div>");
        self
    }

    /// A contact sheet.
    pub fn sheet(&mut self, tiles: &[Tile]) -> &mut Self {
        self.tiles("sheet", tiles)
    }

    /// Pictures that belong together, the first set apart as the one that was kept.
    pub fn group(&mut self, tiles: &[Tile]) -> &mut Self {
        self.tiles("sheet group", tiles)
    }

    fn tiles(&mut self, class: &str, tiles: &[Tile]) -> &mut Self {
        let _ = write!(self.body, "<div class=\"{class}\">");
        for tile in tiles {
            let key = if tile.exclude_key.is_empty() {
                String::new()
            } else {
                self.has_keys = true;
                format!(" data-key=\"{}\"", escape(&tile.exclude_key))
            };
            let _ = write!(
                self.body,
                "<figure{key} title=\"{}\"><img loading=\"lazy\" alt=\"\" style=\"aspect-ratio:{}/100\" src=\"data:image/jpeg;base64,{}\"><figcaption>{}</figcaption></figure>",
                escape(&tile.details),
                tile.aspect_percent.clamp(20, 500),
                base64::encode(&tile.jpeg),
                escape(&tile.caption)
            );
        }
        self.body.push_str("</div>");
        self
    }

    /// The finished page.
    pub fn finish(&self) -> String {
        let (tools, script) = if self.has_keys {
            (TOOLS, SCRIPT)
        } else {
            ("", "")
        };
        let title = escape(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>{}{tools}{script}</body></html>\n",
            self.body
        )
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--in:#4a7bb5;--out:#c0564a}\
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1280px;padding:16px 24px 80px}\
h1{font-size:24px;margin:8px 0}h2{font-size:18px;margin:32px 0 6px;border-bottom:1px solid var(--line);padding-bottom:4px}\
p{margin:4px 0 10px;max-width:80ch}table{border-collapse:collapse}th{text-align:left;font-weight:600}\
td,th{padding:2px 16px 2px 0;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}\
td.bar{width:240px}td.bar i{display:block;height:9px;background:var(--in)}\
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:14px}\
figure{margin:0}svg{width:100%}svg text{font-size:10px;fill:currentColor;opacity:.7}\
rect.in{fill:var(--in)}rect.out{fill:var(--out)}.axis{stroke:currentColor;opacity:.4}.limit{stroke:var(--out);stroke-dasharray:3 2}\
.sheet{display:flex;flex-wrap:wrap;gap:8px;margin:8px 0}.sheet figure{max-width:220px}\
.sheet img{height:112px;display:block;border-radius:3px;background:#8882;object-fit:fill}\
.sheet figcaption{font-size:11px;max-width:112px;overflow:hidden;text-overflow:ellipsis;white-space:pre-line}\
.group{border-left:3px solid var(--line);padding-left:8px}.group figure:first-child img{outline:2px solid var(--in);outline-offset:1px}\
figure[data-key]{cursor:pointer}figure.picked img{outline:3px solid var(--out)!important;opacity:.5}\
#tools{position:fixed;bottom:0;left:0;right:0;padding:8px 24px;background:Canvas;border-top:1px solid var(--line);display:none;gap:12px;align-items:center}\
";

const TOOLS: &str = "<div id=\"tools\"><b></b><input value=\"by eye\" aria-label=\"reason\"><button>Download exclude.tsv</button></div>";

/// Clicks mark pictures; the button saves them as an exclusion list.
const SCRIPT: &str = "<script>\
const bar=document.getElementById('tools'),note=bar.querySelector('b'),picked=()=>document.querySelectorAll('figure.picked');\
document.addEventListener('click',e=>{const f=e.target.closest('figure[data-key]');if(!f)return;f.classList.toggle('picked');\
bar.style.display=picked().length?'flex':'none';note.textContent=picked().length+' marked';});\
bar.querySelector('button').onclick=()=>{const why=bar.querySelector('input').value.replace(/\\s+/g,' ');\
const lines=[...new Set([...picked()].map(f=>f.dataset.key))].sort().map(k=>k+'\\t'+why+'\\n');\
const a=document.createElement('a');a.href=URL.createObjectURL(new Blob(lines,{type:'text/tab-separated-values'}));a.download='exclude.tsv';a.click();};\
</script>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nothing_is_fetched() {
        let mut page = Page::new("<script>alert(1)</script>");
        page.heading("a & b")
            .text("x < y")
            .table(&["n"], &[vec!["'1'".into()]], true);
        let tile = Tile {
            caption: "\"><img src=http://evil>".into(),
            exclude_key: "sha256:00".into(),
            ..Tile::default()
        };
        page.sheet(&[tile]);
        let html = page.finish();
        assert!(!html.contains("<script>alert"));
        assert!(!html.contains("<img src=http") && !html.contains("href=\"http"));
        assert!(
            html.contains("&quot;&gt;&lt;img")
                && html.contains("data-key=\"sha256:00\"")
                && html.contains("exclude.tsv")
        );
    }

    #[test]
    fn pages_without_keys_have_no_script() {
        let mut page = Page::new("t");
        page.sheet(&[Tile::default()]);
        assert!(!page.finish().contains("<script"));
    }
}
