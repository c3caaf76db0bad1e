//! Tables: columns two spaces apart, no lines, so that people can read them and `awk` can, too.

use std::fmt;

use super::plain;

/// What stands where there is nothing, so that columns can be counted.
const NOTHING: &str = "-";

/// Rows of cells, with or without a header.
pub(crate) struct Table {
    inner: comfy_table::Table,
}

impl Table {
    /// A table with one row per thing.
    pub(crate) fn of_things(header: &[&str]) -> Self {
        let mut table = Self::of_fields();
        table.inner.set_header(header.to_vec());
        table
    }

    /// A table with one row per field of one thing.
    pub(crate) fn of_fields() -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(comfy_table::presets::NOTHING).force_no_tty();
        inner.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
        Self { inner }
    }

    pub(crate) fn row(&mut self, cells: &[&dyn fmt::Display]) {
        let cells: Vec<_> = cells.iter().map(|c| cell(&c.to_string())).collect();
        self.inner.add_row(cells);
    }
}

fn cell(text: &str) -> String {
    if text.is_empty() { NOTHING.to_owned() } else { plain(text) }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut inner = self.inner.clone();
        for column in inner.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<_> = inner.lines().map(|l| l.trim_end().to_owned()).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_lines() {
        let mut table = Table::of_things(&["ID", "COMMENT", "REVISION"]);
        table.row(&[&"E1", &"a comment", &7]);
        table.row(&[&"E22", &"", &12345]);
        assert_eq!(table.to_string(), "ID   COMMENT    REVISION\nE1   a comment  7\nE22  -          12345");
    }

    #[test]
    fn long_cells_are_not_cut_nor_wrapped() {
        let long = "x".repeat(500);
        let mut table = Table::of_fields();
        table.row(&[&"comment", &long]);
        assert_eq!(table.to_string(), format!("comment  {long}"));
    }
}
