//! Lists of tables in a document, made to be what is wanted, with the comments that people wrote.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

use super::fields::{Field, PASSWORD, SIGNING_SECRET, TOKEN, Wanted};

/// Makes the tables `[[name]]` be these: tables that are known by their id (or by the one they had) are
/// changed where they stand, others go, new ones come after the last. Returns each id that something
/// was said to have had but nothing has.
pub(super) fn replace(
    document: &mut DocumentMut,
    name: &str,
    wanted: &[Wanted<'_>],
) -> Vec<String> {
    let old = take(document, name);
    let is_empty = old.is_empty();
    let mut left: Vec<Option<&Wanted<'_>>> = wanted.iter().map(Some).collect();
    let mut tables = ArrayOfTables::new();
    let mut orphans = Vec::new();
    for mut table in old {
        let id = table.get("id").and_then(Item::as_str).unwrap_or_default();
        let means = |entry: &Option<&Wanted<'_>>| {
            entry.is_some_and(|entry| entry.was.unwrap_or(entry.id) == id)
        };
        match left.iter_mut().find(|entry| means(entry)) {
            Some(entry) => {
                if let Some(entry) = entry.take() {
                    update(&mut table, entry);
                }
                tables.push(table);
            }
            None => orphans.extend(kept_comments(&table)),
        }
    }
    let mut unknown = Vec::new();
    for entry in left.into_iter().flatten() {
        unknown.extend(entry.was.filter(|was| *was != entry.id).map(str::to_owned));
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        if is_empty && tables.is_empty() {
            table.set_position(Some(last_position(document.as_table()) + 1));
        }
        update(&mut table, entry);
        tables.push(table);
    }
    let root = document.as_table_mut();
    if tables.is_empty() {
        root.remove(name);
    } else {
        root.insert(name, Item::ArrayOfTables(tables));
    }
    for (position, comments) in orphans {
        put_before_next(document, position, &comments);
    }
    unknown
}

/// Sets `key`, unless it already says so or its absence does; a comment beside it stays.
pub(super) fn set(
    table: &mut dyn TableLike,
    key: &str,
    value: Option<Value>,
    default: Option<&Value>,
) {
    let Some(mut value) = value else {
        table.remove(key);
        return;
    };
    match table.get_mut(key) {
        Some(Item::Value(known)) if is_same(known, &value) => {}
        Some(Item::Value(known)) => {
            *value.decor_mut() = known.decor().clone();
            *known = value;
        }
        None if default.is_some_and(|default| is_same(default, &value)) => {}
        Some(_) | None => {
            table.insert(key, Item::Value(value));
        }
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.value() == other.value(),
        (Value::Integer(one), Value::Integer(other)) => one.value() == other.value(),
        (Value::Boolean(one), Value::Boolean(other)) => one.value() == other.value(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        _ => false,
    }
}

fn update(table: &mut Table, wanted: &Wanted<'_>) {
    write_fields(table, &wanted.fields);
    for keys in [PASSWORD, SIGNING_SECRET, TOKEN] {
        if wanted.secret_keys != Some(keys) {
            table.remove(keys.0);
            table.remove(keys.1);
        }
    }
    if let (Some((file_key, env_key)), Some(file)) = (wanted.secret_keys, &wanted.secret_file) {
        table.remove(env_key);
        set(table, file_key, Some(file.as_str().into()), None);
    }
    match &wanted.matcher {
        None => {
            table.remove("match");
        }
        Some(fields) => {
            if !table.contains_key("match") {
                table.insert("match", Item::Table(Table::new()));
            }
            if let Some(matcher) = table.get_mut("match").and_then(Item::as_table_like_mut) {
                write_fields(matcher, fields);
            }
        }
    }
}

fn write_fields(table: &mut dyn TableLike, fields: &[Field]) {
    for field in fields {
        set(
            table,
            field.key,
            field.value.clone(),
            field.default.as_ref(),
        );
    }
}

/// The tables under `name`, taken out of the document; also of `name = [{ … }]`.
fn take(document: &mut DocumentMut, name: &str) -> Vec<Table> {
    let Some(item) = document.as_table_mut().get_mut(name) else {
        return Vec::new();
    };
    match std::mem::take(item).into_array_of_tables() {
        Ok(tables) => tables.into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

/// What of the comments above a table that goes is about something else: all but the lines that stand
/// directly on it.
fn kept_comments(table: &Table) -> Option<(isize, String)> {
    let prefix = table.decor().prefix()?.as_str()?;
    let lines: Vec<&str> = prefix.split_inclusive('\n').collect();
    let n_own = lines
        .iter()
        .rev()
        .take_while(|line| !line.trim().is_empty());
    let n_kept = lines.len() - n_own.count();
    let kept: String = lines.into_iter().take(n_kept).collect();
    kept.contains('#')
        .then(|| (table.position().unwrap_or(0), kept))
}

/// Puts comments before the first table after `position`, or at the end.
fn put_before_next(document: &mut DocumentMut, position: isize, comments: &str) {
    let mut next: Option<isize> = None;
    visit(document.as_table_mut(), &mut |table| {
        let at = table.position().filter(|at| *at > position);
        next = match (next, at) {
            (Some(next), Some(at)) => Some(next.min(at)),
            (next, at) => next.or(at),
        };
    });
    let Some(next) = next else {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing(format!("{comments}{trailing}"));
        return;
    };
    let comments = comments.trim_end_matches(['\n', '\r']);
    visit(document.as_table_mut(), &mut |table| {
        if table.position() == Some(next) {
            let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
            let prefix = format!("{comments}\n{}", prefix.unwrap_or_default());
            table.decor_mut().set_prefix(prefix);
        }
    });
}

fn last_position(table: &Table) -> isize {
    let mut last = table.position().unwrap_or(0);
    for (_, item) in table.iter() {
        match item {
            Item::Table(inner) => last = last.max(last_position(inner)),
            Item::ArrayOfTables(inner) => {
                last = inner.iter().map(last_position).fold(last, isize::max);
            }
            Item::None | Item::Value(_) => {}
        }
    }
    last
}

/// Calls `with` for each table below `table` that has a heading.
fn visit(table: &mut Table, with: &mut dyn FnMut(&mut Table)) {
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => {
                with(inner);
                visit(inner, with);
            }
            Item::ArrayOfTables(inner) => {
                for one in inner.iter_mut() {
                    with(one);
                    visit(one, with);
                }
            }
            Item::None | Item::Value(_) => {}
        }
    }
}
