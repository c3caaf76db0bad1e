//! A trace: which objects are asked for, in order, and how large they are. Also as libCacheSim's CSV, which public traces come in.

use std::{
    collections::HashMap,
    io::{self, BufRead, Write},
};

/// Requests in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) name: String,
    /// Bytes of each object's body. Of one whose size changes, the first size.
    pub(crate) sizes: Vec<u64>,
    /// Places in `sizes`.
    pub(crate) requests: Vec<u32>,
}

impl Trace {
    /// Reads lines of `time,obj_id,obj_size` and perhaps more, which is not looked at. A first line without numbers is a heading, one
    /// that begins with `#` a remark. Identifiers are any text.
    ///
    /// # Errors
    /// If it cannot be read, or a line is not of this form; the error names the line.
    pub(crate) fn read_csv(name: &str, input: impl BufRead) -> io::Result<Self> {
        let mut trace = Self { name: name.to_owned(), ..Self::default() };
        let mut known: HashMap<String, u32> = HashMap::new();
        for (number, line) in input.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((id, bytes)) = fields(&line) else {
                if trace.requests.is_empty() && number == 0 {
                    continue;
                }
                let what = format!("line {} is not time,obj_id,obj_size: {line:?}", number + 1);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            };
            let object = match known.get(id) {
                Some(object) => *object,
                None => {
                    let object = trace.add(bytes)?;
                    known.insert(id.to_owned(), object);
                    object
                }
            };
            trace.requests.push(object);
        }
        Ok(trace)
    }

    /// One more object.
    fn add(&mut self, bytes: u64) -> io::Result<u32> {
        let object = u32::try_from(self.sizes.len()).map_err(io::Error::other)?;
        self.sizes.push(bytes);
        Ok(object)
    }

    /// Writes the same format, the next request for the object included (-1 if there is none), as libCacheSim's oracle traces have it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write_csv(&self, output: &mut impl Write) -> io::Result<()> {
        let mut next_of = HashMap::new();
        let mut nexts: Vec<i64> = Vec::with_capacity(self.requests.len());
        for (at, object) in self.requests.iter().enumerate().rev() {
            nexts.push(next_of.insert(object, at as i64).unwrap_or(-1));
        }
        writeln!(output, "time,obj_id,obj_size,next_access_vtime")?;
        for ((at, object), next) in self.requests.iter().enumerate().zip(nexts.iter().rev()) {
            writeln!(output, "{at},{object},{},{next}", self.sizes[*object as usize])?;
        }
        Ok(())
    }

    /// Bytes of all objects that are asked for, each counted once at what `cost` says of it.
    pub(crate) fn footprint(&self, costs: &[u64]) -> u64 {
        let mut seen = vec![false; costs.len()];
        self.requests.iter().for_each(|object| seen[*object as usize] = true);
        costs.iter().zip(seen).filter(|(_, seen)| *seen).map(|(cost, _)| cost).sum()
    }
}

fn fields(line: &str) -> Option<(&str, u64)> {
    let mut fields = line.split(',').map(str::trim);
    let time: f64 = fields.next()?.parse().ok()?;
    let id = fields.next().filter(|id| !id.is_empty())?;
    let bytes = fields.next()?.parse().ok()?;
    (time.is_finite()).then_some((id, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Trace> {
        Trace::read_csv("t", text.as_bytes())
    }

    #[test]
    fn lines_of_libcachesim_are_requests() {
        let text =
            "time,obj_id,obj_size,next_access_vtime\n0,77,100,2\n# a remark\n0,a/b,5,-1\n1.5, 77 ,100,-1\n\n";
        let trace = read(text).unwrap();
        assert_eq!((trace.sizes, trace.requests), (vec![100, 5], vec![0, 1, 0]));
        assert_eq!(read("1,2,3").unwrap().requests, [0], "without a heading");
        assert_eq!(read("1,2,3\n2,2,900").unwrap().sizes, [3], "the first size");
    }

    #[test]
    fn what_is_not_of_that_form_is_refused_by_its_line() {
        for text in ["h\n1,2,3\n1,2", "1,2,3\n\n1,,3", "0,1,2\ntime,obj_id,obj_size", "1,2,3\n1,2,-3\n"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("line 2 ") || error.starts_with("line 3 "), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let trace = Trace { name: "t".into(), sizes: vec![10, 20, 30], requests: vec![0, 1, 0, 2, 1, 0] };
        let mut text = Vec::new();
        trace.write_csv(&mut text).unwrap();
        assert!(String::from_utf8_lossy(&text).contains("\n0,0,10,2\n1,1,20,4\n2,0,10,5\n3,2,30,-1\n"));
        assert_eq!(Trace::read_csv("t", &text[..]).unwrap(), trace);
    }

    #[test]
    fn the_footprint_counts_what_is_asked_for_once() {
        let trace = Trace { sizes: vec![1, 2, 4], requests: vec![0, 2, 2, 0], ..Trace::default() };
        assert_eq!(trace.footprint(&trace.sizes), 5);
        assert_eq!(trace.footprint(&[10, 20, 40]), 50);
    }
}
