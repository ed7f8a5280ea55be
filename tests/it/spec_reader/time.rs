//! Instants: strict RFC 3339 for tokens and metadata (spec 1.3, 4.4), go-yaml's three spellings for YAML (spec 7.2.2).

/// Calendar fields; `offset` in minutes east of UTC.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fields {
    date: [u32; 3],
    clock: [u32; 3],
    nanos: u32,
    offset: i32,
}

impl Fields {
    fn in_range(&self) -> bool {
        let [year, month, day] = self.date;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        };
        let [hour, minute, second] = self.clock;
        (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60
    }

    /// RFC 3339, with the fraction (trailing zeros dropped) or without.
    pub(crate) fn text(&self, fraction: bool) -> String {
        let ([year, month, day], [hour, minute, second]) = (self.date, self.clock);
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if fraction && self.nanos > 0 {
            text += format!(".{:09}", self.nanos).trim_end_matches('0');
        }
        if self.offset == 0 {
            return text + "Z";
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs();
        text + &format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// What is left of a text while it is taken apart.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn eat(&mut self, any: &[char]) -> Option<char> {
        let first = self.0.chars().next().filter(|c| any.contains(c))?;
        self.0 = self.0.get(first.len_utf8()..)?;
        Some(first)
    }

    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self
            .0
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        let (digits, rest) = self.0.split_at_checked(count).filter(|_| count >= least)?;
        self.0 = rest;
        digits.parse().ok()
    }

    fn fraction(&mut self) -> Option<u32> {
        if self.0.starts_with(['.', ',']) {
            let digits: String = self
                .0
                .chars()
                .skip(1)
                .take_while(char::is_ascii_digit)
                .collect();
            if digits.is_empty() {
                return None;
            }
            self.0 = self.0.get(1 + digits.len()..)?;
            let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
            return nine.parse().ok();
        }
        Some(0)
    }

    fn zone(&mut self) -> Option<i32> {
        if self.eat(&['Z']).is_some() {
            return Some(0);
        }
        let sign = if self.eat(&['+', '-'])? == '-' { -1 } else { 1 };
        let hours = i32::try_from(self.number(2, 2)?).ok()?;
        self.eat(&[':'])?;
        let minutes = i32::try_from(self.number(2, 2)?).ok()?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }

    fn parse(&mut self, least: usize, separators: &[char], zoned: bool) -> Option<Fields> {
        let year = self.number(4, 4)?;
        self.eat(&['-'])?;
        let month = self.number(least, 2)?;
        self.eat(&['-'])?;
        let day = self.number(least, 2)?;
        self.eat(separators)?;
        let hour = self.number(least, 2)?;
        self.eat(&[':'])?;
        let minute = self.number(least, 2)?;
        self.eat(&[':'])?;
        let second = self.number(least, 2)?;
        let nanos = self.fraction()?;
        let offset = if zoned { self.zone()? } else { 0 };
        let clock = [hour, minute, second];
        Some(Fields {
            date: [year, month, day],
            clock,
            nanos,
            offset,
        })
    }
}

fn whole(text: &str, parse: impl FnOnce(&mut Rest<'_>) -> Option<Fields>) -> Option<Fields> {
    let mut rest = Rest(text);
    let fields = parse(&mut rest)?;
    (rest.0.is_empty() && fields.in_range()).then_some(fields)
}

/// Strict RFC 3339.
pub(crate) fn rfc3339(text: &str) -> Option<Fields> {
    whole(text, |rest| rest.parse(2, &['T'], true))
}

/// The timestamps that go-yaml resolves.
pub(crate) fn yaml(text: &str) -> Option<Fields> {
    whole(text, |rest| rest.parse(1, &['T', 't'], true))
        .or_else(|| whole(text, |rest| rest.parse(1, &[' '], false)))
        .or_else(|| {
            whole(text, |rest| {
                let year = rest.number(4, 4)?;
                rest.eat(&['-'])?;
                let month = rest.number(1, 2)?;
                rest.eat(&['-'])?;
                let day = rest.number(1, 2)?;
                Some(Fields {
                    date: [year, month, day],
                    clock: [0, 0, 0],
                    nanos: 0,
                    offset: 0,
                })
            })
        })
}
