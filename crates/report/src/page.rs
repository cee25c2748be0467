//! The HTML page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::escape::escape;
use crate::histogram::Histogram;
use crate::plot::{PALETTE, Plot};
use files::mark::HTML_START;
use std::fmt::Write;

/// One image of a contact sheet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tile {
    /// The image as a JPEG file.
    pub jpeg: Vec<u8>,
    /// Ratio of width to height at which the image is shown, in percent: 100 is square. Values are limited to 20 to
    /// 500.
    pub aspect_percent: u32,
    /// A short line below the image.
    pub caption: String,
    /// Longer text, shown when the mouse is over the image.
    pub details: String,
    /// Key (`sha256:...`) of the line that is added to the exclusion list when the image is clicked; empty if a click
    /// does nothing.
    pub exclude_key: String,
}

/// A page under construction.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
    has_keys: bool,
    has_slider: bool,
}

/// Images of one run at several times, for [`Page::slider`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strip {
    /// Name of the run.
    pub name: String,
    /// Index of its color in [`PALETTE`].
    pub color: usize,
    /// Times in ascending order, each with a JPEG file.
    pub frames: Vec<(u64, Vec<u8>)>,
}

impl Page {
    /// Starts an empty page with this title.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            body: String::new(),
            has_keys: false,
            has_slider: false,
        }
    }

    /// Adds the heading of a section.
    pub fn heading(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.body, "<h2>{}</h2>", escape(text));
        self
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.body, "<p>{}</p>", escape(text));
        self
    }

    /// Adds a table. With `has_bars`, each row whose last cell is a number also gets a bar of a length proportional to
    /// that number.
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

    /// Adds histograms side by side.
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

    /// Adds a bulleted list.
    pub fn list(&mut self, lines: &[String]) -> &mut Self {
        self.body.push_str("<ul>");
        for line in lines {
            let _ = write!(self.body, "<li>{}</li>", escape(line));
        }
        self.body.push_str("</ul>");
        self
    }

    /// Adds line plots side by side, each with its title, note and legend.
    pub fn plots(&mut self, plots: &[Plot]) -> &mut Self {
        self.body.push_str("<div class=\"plots wide\">");
        for plot in plots {
            let mut legend = String::new();
            for series in &plot.series {
                let style = if series.dashed { "dashed" } else { "solid" };
                let _ = write!(
                    legend,
                    "<span><i style=\"border-top:3px {style} {}\"></i>{}</span> ",
                    PALETTE[series.color % PALETTE.len()],
                    escape(&series.name)
                );
            }
            let _ = write!(
                self.body,
                "<figure><figcaption><b>{}</b> <small>{}</small></figcaption>{}<div class=\"legend\">{legend}</div></figure>",
                escape(&plot.title),
                escape(&plot.note),
                plot.to_svg()
            );
        }
        self.body.push_str("</div>");
        self
    }

    /// Adds images of several runs side by side, with one slider that selects the time; `unit` is the unit of the
    /// times.
    pub fn slider(&mut self, strips: &[Strip], unit: &str) -> &mut Self {
        let mut moments: Vec<u64> = strips
            .iter()
            .flat_map(|strip| strip.frames.iter().map(|frame| frame.0))
            .collect();
        moments.sort_unstable();
        moments.dedup();
        if moments.is_empty() {
            return self;
        }
        self.has_slider = true;
        let last = moments.len() - 1;
        let list: Vec<String> = moments.iter().map(u64::to_string).collect();
        let _ = write!(
            self.body,
            "<div class=\"slider\" data-moments=\"{}\" data-unit=\"{}\"><label><input type=\"range\" min=\"0\" max=\"{last}\" value=\"{last}\" aria-label=\"moment\"> <output></output></label><div class=\"strips\">",
            list.join(","),
            escape(unit)
        );
        for strip in strips {
            let _ = write!(
                self.body,
                "<figure><figcaption style=\"border-left:10px solid {};padding-left:8px\">{} <small></small></figcaption>",
                PALETTE[strip.color % PALETTE.len()],
                escape(&strip.name)
            );
            if strip.frames.is_empty() {
                self.body.push_str("<p>no images</p>");
            }
            for (i, (moment, jpeg)) in strip.frames.iter().enumerate() {
                let hidden = if i + 1 == strip.frames.len() {
                    ""
                } else {
                    " hidden"
                };
                let _ = write!(
                    self.body,
                    "<img alt=\"images at {moment} {}\" data-moment=\"{moment}\"{hidden} src=\"data:image/jpeg;base64,{}\">",
                    escape(unit),
                    BASE64.encode(jpeg)
                );
            }
            self.body.push_str("</figure>");
        }
        self.body.push_str("</div></div>");
        self
    }

    /// Adds a contact sheet.
    pub fn sheet(&mut self, tiles: &[Tile]) -> &mut Self {
        self.tiles("sheet", tiles)
    }

    /// Adds images that belong together, such as copies of one image. The first image, the one that was kept, is
    /// outlined.
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
                BASE64.encode(&tile.jpeg),
                escape(&tile.caption)
            );
        }
        self.body.push_str("</div>");
        self
    }

    /// The finished page as HTML.
    pub fn finish(&self) -> String {
        let (tools, script) = if self.has_keys {
            (TOOLS, SCRIPT)
        } else {
            ("", "")
        };
        let slider = if self.has_slider { SLIDER } else { "" };
        let title = escape(&self.title);
        format!(
            "{HTML_START}<meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>{}{tools}{script}{slider}</body></html>\n",
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
ul{margin:6px 0 12px;padding-left:22px;max-width:100ch}li{margin:3px 0}\
.wide{grid-template-columns:repeat(auto-fill,minmax(520px,1fr));gap:22px}.plot .grid{stroke:var(--line)}\
.wide figcaption{min-height:42px}.wide figcaption small{display:block;opacity:.75}\
.legend{font-size:12px;display:flex;flex-wrap:wrap;gap:2px 16px}.legend i{display:inline-block;width:24px;vertical-align:middle;margin-right:5px}\
.slider input{width:min(640px,70%);vertical-align:middle}.slider output{font-variant-numeric:tabular-nums;font-weight:600}\
.strips{display:flex;flex-wrap:wrap;gap:14px;margin-top:8px}.strips figure{flex:1 1 400px;max-width:760px}.strips img{width:100%;display:block;image-rendering:auto}.strips img[hidden]{display:none}\
#tools{position:fixed;bottom:0;left:0;right:0;padding:8px 24px;background:Canvas;border-top:1px solid var(--line);display:none;gap:12px;align-items:center}\
";

const TOOLS: &str = "<div id=\"tools\"><b></b><input value=\"by eye\" aria-label=\"reason\"><button>Download exclude.tsv</button></div>";

/// Script for contact sheets: a click marks an image, the button saves the marked images as an exclusion list.
const SCRIPT: &str = "<script>\
const bar=document.getElementById('tools'),note=bar.querySelector('b'),picked=()=>document.querySelectorAll('figure.picked');\
document.addEventListener('click',e=>{const f=e.target.closest('figure[data-key]');if(!f)return;f.classList.toggle('picked');\
bar.style.display=picked().length?'flex':'none';note.textContent=picked().length+' marked';});\
bar.querySelector('button').onclick=()=>{const why=bar.querySelector('input').value.replace(/\\s+/g,' ');\
const lines=[...new Set([...picked()].map(f=>f.dataset.key))].sort().map(k=>k+'\\t'+why+'\\n');\
const a=document.createElement('a');a.href=URL.createObjectURL(new Blob(lines,{type:'text/tab-separated-values'}));a.download='exclude.tsv';a.click();};\
</script>";

/// Script for sliders: each strip shows its last image at or before the chosen time.
const SLIDER: &str = "<script>\
for(const box of document.querySelectorAll('.slider')){const moments=box.dataset.moments.split(',').map(Number),range=box.querySelector('input');\
const show=()=>{const now=moments[range.value];box.querySelector('output').textContent=now+' '+box.dataset.unit;\
for(const strip of box.querySelectorAll('figure')){const all=[...strip.querySelectorAll('img')];if(!all.length)continue;\
const past=all.filter(i=>+i.dataset.moment<=now),at=past.length?past[past.length-1]:all[0];\
all.forEach(i=>i.hidden=i!==at);strip.querySelector('small').textContent='at '+at.dataset.moment+' '+box.dataset.unit;}};\
range.addEventListener('input',show);show();}</script>";

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
    fn a_slider_has_every_moment_and_shows_the_last() {
        let mut page = Page::new("t");
        let strip = |name: &str, moments: &[u64]| Strip {
            name: name.into(),
            color: 0,
            frames: moments.iter().map(|&m| (m, vec![1, 2, 3])).collect(),
        };
        page.slider(&[strip("a", &[0, 200]), strip("b<", &[0, 400])], "kimg");
        let html = page.finish();
        assert!(html.contains("data-moments=\"0,200,400\"") && html.contains("b&lt;"));
        assert_eq!(html.matches(" hidden src=").count(), 2);
        assert!(html.contains("addEventListener('input',show)"));
        assert!(
            !Page::new("t")
                .slider(&[], "kimg")
                .finish()
                .contains("<script")
        );
    }

    #[test]
    fn pages_without_keys_have_no_script() {
        let mut page = Page::new("t");
        page.sheet(&[Tile::default()]);
        assert!(!page.finish().contains("<script"));
    }
}
