//! The rules of spreadsheet files: what is undone, what is refused, and that writing and reading agree.

use proptest::prelude::*;

use super::*;
use crate::domain::access::CardState;
use crate::domain::card::CardNumber;
use crate::domain::dwelling::{Day, Relation, Tenure};
use crate::domain::id::{CardholderId, DwellingId};
use crate::domain::limit::FloorArea;
use crate::domain::person::{PersonMark, PersonName};
use crate::domain::place::Place;
use crate::time::{TimeZone, WallTime};
use fuzz::{options, package, workbook_with};

fn book(text: &str) -> Book {
    read(text.as_bytes(), &options()).unwrap()
}

/// Word and place of every problem.
fn problems(book: &Book) -> Vec<String> {
    let shown = |found: &Finding| {
        let letters = found.letters.map(|l| l.to_string()).unwrap_or_default();
        format!("{}{letters} {}", found.at.row, found.reason.word())
    };
    book.problems.iter().map(shown).collect()
}

/// A workbook of one sheet with this `sheetData` and what follows it.
fn sheet(rows: &str, rest: &str) -> Vec<u8> {
    let xml = format!("<worksheet><sheetData>{rows}</sheetData>{rest}</worksheet>");
    workbook_with("xl/worksheets/sheet1.xml", xml.as_bytes())
}

fn inline(reference: &str, text: &str) -> String {
    format!("<c r=\"{reference}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

#[test]
fn todays_csv_files_are_read_as_before() {
    let text = include_str!("../../../deploy/roster.csv");
    let book = book(text);
    assert_eq!(book.problems, []);
    assert_eq!(book.rows.len(), 5);
    let first = &book.rows[0];
    assert_eq!(first.dwelling.as_str(), "b03-u2-301");
    assert_eq!(first.area, Some("94.30".parse().unwrap()));
    assert_eq!(first.card, Some(CardNumber::new("04A1B2C3D4").unwrap()));
    assert_eq!(
        first.valid_until,
        Said::Is("2027-01-01T00:00:00Z".parse().unwrap())
    );
    assert_eq!(book.rows[1].state, Some(CardState::Lost));
    assert_eq!(book.rows[1].area, None);
}

#[test]
fn chinese_headings_below_a_title_and_dirty_cells() {
    let text = "\u{feff}马涧花园一区住户名册,,,,,,,,,\n\
        制表：物业 2026年11月,,,,,,,,,\n\
        序号,幢号,单元,室号,建筑面积（㎡）,租住类型,姓名,与户主关系,门禁卡号,有效期至\n\
        1,３幢,２单元, 301室　,９４.30㎡,出租,张　 三,承租人,'04a1b2c3d4,2026年12月31日\n\
        2,3,2,302,\"1,094.3 平方米\",自住,李四,户主,04 A1 B2 C3 D5,2026/1/5 0:00\n\
        3,三幢,二单元,303,36,宿舍,,,,\n\
        序号,幢号,单元,室号,建筑面积（㎡）,租住类型,姓名,与户主关系,门禁卡号,有效期至\n\
        ,,,,,,,,,\n\
        4,3,2,301,,,张　三,,=\"04A1B2C3D6\",长期\n\
        合计,,,,1224.60,,,,,\n";
    let book = book(text);
    assert_eq!(problems(&book), [""; 0]);
    assert_eq!(book.rows.len(), 4);
    let [first, second, third, fourth] = book.rows.as_slice() else {
        panic!("four rows")
    };
    assert_eq!(first.dwelling.as_str(), "b03-u2-301");
    assert_eq!(first.at.row, 4);
    assert_eq!(first.area.unwrap().hundredths_m2(), 9430);
    assert_eq!(first.tenure, Some(Tenure::Rented));
    assert_eq!(first.name.as_ref().unwrap().reveal(), "张 三");
    assert_eq!(first.relation.as_ref().unwrap().as_str(), "tenant");
    assert_eq!(first.card.as_ref().unwrap().reveal(), "04A1B2C3D4");
    assert_eq!(
        first.valid_until,
        Said::Is("2027-01-01T00:00:00Z".parse().unwrap())
    );
    assert_eq!(second.area.unwrap().hundredths_m2(), 109_430);
    assert_eq!(
        second.valid_until,
        Said::Is("2026-01-06T00:00:00Z".parse().unwrap())
    );
    assert_eq!(third.tenure, Some(Tenure::Dormitory));
    assert_eq!(fourth.name, first.name);
    assert_eq!(fourth.valid_until, Said::Open);
    let notes: Vec<&str> = book.notes.iter().map(|note| note.reason.word()).collect();
    assert_eq!(notes, ["unknown-column", "total"]);
}

#[test]
fn every_bad_cell_is_named_with_its_place_and_no_personal_data() {
    let text = "dwelling,place,number,area_m2,tenure,beds,holder,name,relation,card,state,valid_from,valid_until\n\
        d/1,b99-u9,301,94.305,let it,x,h#1,甲,孙子的朋友,0A1B2C3DZZ,stolen,2026-02-30,soon\n\
        d2,b03-u2,302,fifty,,,h2,,,8.16E+06,,,\n\
        ,,303,50,,,h3,,,0A1B2C3D01,,,\n\
        d3,b03-u2,,50,,,h3,,,0A1B2C3D02,,2026-02-01,2026-01-01\n\
        d4,b03-u2,304,50,,,,,tenant,,active,,\n\
        d5,b03-u2,305,50,,,h5,,,0A1B2C3D03,expired,,2027-01-01\n\
        d6,b03-u2,306,=SUM(A1),,,h6,,#N/A,,,12/31/2026,\n\
        d7,b03-u2,307,50,rented,,h7,a,b,0A1B2C3D04,,,,,x\n";
    let book = book(text);
    assert!(book.rows.is_empty());
    assert_eq!(book.n_rows, 8);
    let listed: Vec<String> = book.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("bad_cells", listed.join("\n"));
    let zh: Vec<String> = book
        .problems
        .iter()
        .map(|found| found.reason.zh())
        .collect();
    insta::assert_snapshot!("bad_cells_zh", zh.join("\n"));
    for text in listed.iter().chain(&zh) {
        assert!(!text.contains('甲') && !text.contains("0A1B2C"), "{text}");
    }
}

#[test]
fn cards_that_excel_made_numbers_are_taken_only_when_nothing_is_lost() {
    let heading = format!(
        "<row r=\"1\">{}{}{}</row>",
        inline("A1", "dwelling"),
        inline("B1", "name"),
        inline("C1", "card")
    );
    let row = |n: u32, card: &str| {
        format!(
            "<row r=\"{n}\">{}{}{card}</row>",
            inline(&format!("A{n}"), "d1"),
            inline(&format!("B{n}"), "p")
        )
    };
    let number = |n: u32, digits: &str| format!("<c r=\"C{n}\"><v>{digits}</v></c>");
    let read_cards =
        |rows: &str| read(&sheet(&format!("{heading}{rows}"), ""), &options()).unwrap();

    let alike = read_cards(&(row(2, &number(2, "41234567")) + &row(3, &number(3, "4.1234568E7"))));
    let cards: Vec<&str> = alike
        .rows
        .iter()
        .map(|row| row.card.as_ref().unwrap().reveal())
        .collect();
    assert_eq!(cards, ["41234567", "41234568"]);

    let lost =
        read_cards(&(row(2, &inline("C2", "04A1B2C3D4")) + &row(3, &number(3, "412345678"))));
    assert_eq!(problems(&lost), ["3C card-zeros-lost"]);

    let long = read_cards(&row(2, &number(2, "1.2345678901234568E+17")));
    assert_eq!(problems(&long), ["2C card-digits-lost"]);

    let text = read_cards(&row(2, &inline("C2", "8.16E+06")));
    assert_eq!(problems(&text), ["2C card-scientific"]);

    let date = read_cards(&row(2, "<c r=\"C2\" s=\"1\"><v>46387</v></c>"));
    assert_eq!(problems(&date), ["2C became-date"]);
}

#[test]
fn formulas_count_by_their_value_and_dates_by_their_serial() {
    let rows = format!(
        "<row r=\"1\">{}{}{}{}</row>\
         <row r=\"2\">{}<c r=\"B2\"><f>A1*2</f><v>94.300000000000011</v></c>{}<c r=\"D2\" s=\"1\"><v>46387</v></c></row>\
         <row r=\"3\">{}<c r=\"B3\"><f>A1*2</f></c>{}<c r=\"D3\"><v>46387.5</v></c></row>\
         <row r=\"4\">{}<c r=\"B4\" t=\"e\"><f>1/0</f><v>#DIV/0!</v></c>{}<c r=\"D4\"><v>2026</v></c></row>\
         <row r=\"5\">{}<c r=\"B5\" t=\"str\"><f>\"\"</f><v></v></c>{}<c r=\"D5\"><v>20261231</v></c></row>",
        inline("A1", "dwelling"),
        inline("B1", "area"),
        inline("C1", "name"),
        inline("D1", "to"),
        inline("A2", "d2"),
        inline("C2", "a"),
        inline("A3", "d3"),
        inline("C3", "a"),
        inline("A4", "d4"),
        inline("C4", "a"),
        inline("A5", "d5"),
        inline("C5", "a"),
    );
    let book = read(&sheet(&rows, ""), &options()).unwrap();
    assert_eq!(
        problems(&book),
        ["3B formula-without-value", "4B cell-error", "4D date-range"]
    );
    assert_eq!(book.rows[0].area.unwrap().hundredths_m2(), 9430);
    let last = Said::Is("2026-12-31".parse::<Day>().unwrap());
    assert_eq!(book.rows[0].to, last);
    assert_eq!((book.rows[1].to, book.rows[1].area), (last, None));
}

#[test]
fn days_of_the_1904_system_are_the_same_days() {
    let rows = format!(
        "<row>{}{}{}</row><row>{}{}<c s=\"1\"><v>44925</v></c></row><row>{}{}<c><v>44925</v></c></row>",
        inline("A1", "dwelling"),
        inline("B1", "name"),
        inline("C1", "to"),
        inline("A2", "d1"),
        inline("B2", "a"),
        inline("A3", "d2"),
        inline("B3", "b"),
    );
    let xml = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let parts = fuzz::PARTS.map(|(name, text)| match name {
        "xl/workbook.xml" => (name, r#"<workbook><workbookPr date1904="1"/><sheets><sheet name="S" r:id="r1"/></sheets></workbook>"#),
        "xl/worksheets/sheet1.xml" => (name, xml.as_str()),
        _ => (name, text),
    });
    let parts = parts.map(|(name, text)| (name, text.as_bytes()));
    let book = read(&package(&parts), &options()).unwrap();
    let last = Said::Is("2026-12-31".parse::<Day>().unwrap());
    let found: Vec<Said<Day>> = book.rows.iter().map(|row| row.to).collect();
    assert_eq!(found, [last, last], "{:?}", book.problems);
}

#[test]
fn merged_cells_cover_their_rows_and_headings_may_have_two_rows() {
    let rows = format!(
        "<row r=\"1\">{}{}{}</row><row r=\"2\">{}{}</row>\
         <row r=\"3\">{}{}{}</row><row r=\"4\">{}</row><row r=\"5\">{}</row>",
        inline("A1", "户编号"),
        inline("B1", "姓名"),
        inline("C1", "租期"),
        inline("C2", "起"),
        inline("D2", "止"),
        inline("A3", "d1"),
        inline("B3", "甲"),
        inline("D3", "2026.12.31"),
        inline("B4", "乙"),
        inline("B5", "丙"),
    );
    let merged = "<mergeCells><mergeCell ref=\"A1:A2\"/><mergeCell ref=\"B1:B2\"/>\
        <mergeCell ref=\"C1:D1\"/><mergeCell ref=\"A3:A4\"/></mergeCells>";
    let book = read(&sheet(&rows, merged), &options()).unwrap();
    assert_eq!(problems(&book), ["5 no-dwelling-said"]);
    assert_eq!(book.rows.len(), 2);
    assert!(book.rows.iter().all(|row| row.dwelling.as_str() == "d1"));
    assert_eq!(book.rows[0].to, Said::Is("2026-12-31".parse().unwrap()));
}

#[test]
fn files_that_are_no_roster_say_what_they_should_be() {
    let refused = |bytes: &[u8]| read(bytes, &options()).unwrap_err();
    assert_eq!(refused(b""), FileReason::Empty);
    assert_eq!(
        refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 rest"),
        FileReason::OldExcel
    );
    assert_eq!(refused(b"PK\x03\x04 rest"), FileReason::NoWorkbook);
    assert_eq!(
        refused(&package(&[("mimetype", b"x")])),
        FileReason::NoWorkbook
    );
    assert_eq!(refused(b"dear sir,\nhello\n"), FileReason::NoHeadings);
    assert_eq!(refused(b"\xff\xff\x00\x80"), FileReason::Encoding);
    assert_eq!(
        refused(&vec![b' '; FILE_BYTES_MAX + 1]),
        FileReason::TooLarge
    );
    let far = sheet(&inline("ZZ1", "x"), "");
    assert_eq!(refused(&far), FileReason::TooManyColumns);
    let many = format!("{}\n", "x\n".repeat(ROWS_MAX + 1));
    assert_eq!(refused(many.as_bytes()), FileReason::TooManyRows);
}

#[test]
fn a_file_that_claims_or_unpacks_to_too_much_ends_early() {
    let claim = br#"<sst uniqueCount="99999999999999"><si><t>dwelling</t></si></sst>"#;
    let file = workbook_with("xl/sharedStrings.xml", claim);
    assert_eq!(read(&file, &options()).unwrap_err(), FileReason::Damaged);
    let bomb = vec![b' '; 33 << 20];
    let file = workbook_with("xl/styles.xml", &bomb);
    assert!(file.len() < 100_000, "{}", file.len());
    assert_eq!(
        read(&file, &options()).unwrap_err(),
        FileReason::UnpacksToTooMuch
    );
    let merged: String = (0..2_000)
        .map(|_| "<mergeCell ref=\"A2:A5000\"/>")
        .collect();
    let rows: String = (1..5_000).map(|n| inline(&format!("B{n}"), "x")).collect();
    let rows = format!("{}{rows}", inline("A2", "x"));
    let file = sheet(&rows, &format!("<mergeCells>{merged}</mergeCells>"));
    assert_eq!(
        read(&file, &options()).unwrap_err(),
        FileReason::TooManyCells
    );
}

#[test]
fn hidden_sheets_are_not_read_and_several_are() {
    let workbook = r#"<workbook><sheets><sheet name="A" r:id="r1"/><sheet name="B" r:id="r1" state="hidden"/><sheet name="C" r:id="r1"/></sheets></workbook>"#;
    let rows = format!(
        "<row>{}{}</row><row>{}{}</row>",
        inline("A1", "dwelling"),
        inline("B1", "name"),
        inline("A2", "d1"),
        inline("B2", "a")
    );
    let xml = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let parts = fuzz::PARTS.map(|(name, text)| match name {
        "xl/workbook.xml" => (name, workbook),
        "xl/worksheets/sheet1.xml" => (name, xml.as_str()),
        _ => (name, text),
    });
    let book = read(
        &package(&parts.map(|(name, text)| (name, text.as_bytes()))),
        &options(),
    )
    .unwrap();
    let places: Vec<String> = book.rows.iter().map(|row| row.at.to_string()).collect();
    assert_eq!(places, ["A!2", "C!2"]);
    assert_eq!(book.notes[0].to_string(), "B: is hidden and was not read");
}

fn said<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Said<T>> {
    prop_oneof![
        2 => Just(Said::Nothing),
        1 => Just(Said::Open),
        3 => value.prop_map(Said::Is),
    ]
}

fn day() -> impl Strategy<Value = Day> {
    (-30_000_i32..60_000).prop_map(|days| {
        let date = jiff::civil::Date::constant(1970, 1, 1);
        Day::from_civil(date.checked_add(jiff::Span::new().days(days)).unwrap())
    })
}

/// Two different days, in order.
fn span() -> impl Strategy<Value = (Said<Day>, Said<Day>)> {
    (said(day()), said(day())).prop_map(|(a, b)| match (a, b) {
        (Said::Is(from), Said::Is(to)) if to < from => (Said::Is(to), Said::Is(from)),
        both => both,
    })
}

fn moments(zone: TimeZone) -> impl Strategy<Value = (Said<WallTime>, Said<WallTime>)> {
    let moment = prop_oneof![
        3 => (0_i32..40_000).prop_map(move |days| {
            let date = jiff::civil::Date::constant(1970, 1, 1);
            let date = date.checked_add(jiff::Span::new().days(days)).unwrap();
            zone.day_start(&date.to_string()).unwrap()
        }),
        1 => (0_i64..4_000_000_000_000_000_000).prop_map(WallTime::from_unix_ns),
    ];
    (said(moment.clone()), said(moment)).prop_map(|(a, b)| match (a, b) {
        (Said::Is(from), Said::Is(to)) if to < from => (Said::Is(to), Said::Is(from)),
        (Said::Is(from), Said::Is(to)) if to == from => (Said::Is(from), Said::Open),
        both => both,
    })
}

/// Text as it is after cleaning.
fn name() -> impl Strategy<Value = PersonName> {
    let text = prop_oneof![
        "[=+@'-][a-z0-9()!|]{1,10}",
        "[一-龥]{2,4}",
        "[A-Za-z,;\"]{1,8}( [A-Za-z\"',;]{1,8})?",
    ];
    text.prop_map(|text| PersonName::new(&text).unwrap())
}

fn row(zone: TimeZone) -> impl Strategy<Value = Row> {
    let dwelling = (
        "[a-zA-Z0-9_-]{1,12}",
        proptest::option::of("[1-9][0-9]{0,4}[A-Z]?|[一-龥]{1,3}[0-9]{1,4}"),
        proptest::option::of(0_u32..=100_000_000),
        proptest::option::of(prop_oneof![
            Just(Tenure::Rented),
            Just(Tenure::OwnerOccupied),
            Just(Tenure::Dormitory)
        ]),
        proptest::option::of(1_u32..=1_000),
        span(),
        proptest::bool::ANY,
    );
    let holder = (
        "[a-zA-Z0-9_-]{1,32}",
        proptest::option::of(name()),
        proptest::option::of("[a-z0-9]{1,10}(-[a-z0-9]{1,10})?|minor-child|tenant|other"),
        proptest::option::of("[A-Z0-9-]{1,10}"),
        span(),
    );
    let card = (
        "[0-9A-F]{4,32}",
        proptest::option::of(prop_oneof![
            Just(CardState::Active),
            Just(CardState::Lost),
            Just(CardState::Revoked)
        ]),
        moments(zone),
    );
    let parts = (
        dwelling,
        proptest::option::of(holder),
        proptest::option::of(card),
    );
    parts.prop_map(|(dwelling, holder, card)| {
        let (id, number, area, tenure, beds, (dwelling_from, dwelling_to), has_place) = dwelling;
        let mut row = Row {
            place: has_place.then(|| Place::new("b03-u2").unwrap()),
            number,
            area: area.map(|area| FloorArea::from_hundredths_m2(area).unwrap()),
            tenure,
            beds,
            dwelling_from,
            dwelling_to,
            ..Row::of(DwellingId::new(&id).unwrap())
        };
        if let Some((id, name, relation, person, (from, to))) = holder {
            row.holder = Some(CardholderId::new(&id).unwrap());
            row.name = name;
            row.relation = relation.map(|word| Relation::new(&word).unwrap());
            row.person = person.map(|mark| PersonMark::new(&mark).unwrap());
            (row.from, row.to) = (from, to);
        }
        if let Some((number, state, (from, until))) = card {
            row.card = Some(CardNumber::new(&number).unwrap());
            row.state = state;
            (row.valid_from, row.valid_until) = (from, until);
        }
        row
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        rows in proptest::collection::vec(row(TimeZone::utc()), 0..12),
        format in prop_oneof![Just(FileFormat::Xlsx), Just(FileFormat::Csv)],
        language in prop_oneof![Just(Language::En), Just(Language::Zh)],
    ) {
        let write_options = WriteOptions { time_zone: TimeZone::utc(), language };
        let bytes = write(&rows, format, &write_options).unwrap();
        let book = read(&bytes, &options()).unwrap();
        prop_assert_eq!(&book.problems, &[]);
        let without_place = |row: Row| Row {
            at: RowAt { sheet: None, row: 0 },
            columns: std::sync::Arc::default(),
            ..row
        };
        let found: Vec<Row> = book.rows.into_iter().map(without_place).collect();
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        fuzz::roster_sheet(&bytes);
    }

    #[test]
    fn no_xml_makes_the_reader_panic(pieces in proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(vec![
                "<worksheet>", "<sheetData>", "<row>", "<row r=\"2\">", "<row r=\"4294967296\">", "<c>", "<c r=\"A1\">",
                "<c r=\"B2\" t=\"s\">", "<c r=\"ZZZZ9\">", "<c t=\"inlineStr\">", "<c s=\"1\">", "<c s=\"99999999999\" t=\"d\">", "<v>", "</v>", "<v/>",
                "<f>", "</f>", "<f si=\"4294967295\" t=\"shared\"/>", "<is>", "</is>", "<t>", "</t>", "</c>", "</row>", "</sheetData>",
                "<mergeCell ref=\"A1:C9\"/>", "<mergeCell ref=\"C9:A1\"/>", "&amp;", "&#x41;", "&#999999999;", "&nope;",
                "<![CDATA[x]]>", "<!-- x -->", "<?x y?>", "<!DOCTYPE x [<!ENTITY a \"b\">]>", "<", ">", "dwelling", "number", "card",
                "0", "2", "-1", "1E+400", "46387", "<si>", "</si>", "<cellXfs>", "<xf numFmtId=\"14\"/>", "<numFmt numFmtId=\"200\" formatCode=\"yyyy\"/>",
                "<sheet name=\"S\" id=\"r1\"/>", "<workbookPr date1904=\"1\"/>", "<Relationship Id=\"r1\" Type=\"worksheet\" Target=\"../../..\"/>",
            ]).prop_map(str::to_owned),
            "\\PC{0,6}",
        ],
        0..40,
    )) {
        fuzz::roster_sheet(pieces.concat().as_bytes());
    }

    #[test]
    fn no_table_makes_the_reader_panic(cells in proptest::collection::vec(
        proptest::collection::vec(
            ".{0,6}|d1|b03-u2|12.5|出租|宿舍|h1|0A01|挂失|2026-02-30|2026年1月1日|46387|=1|'|３幢|合计|1E5|9999-12-31|open",
            0..14,
        ),
        0..8,
    )) {
        let heading = "dwelling,幢号,单元,房号,area,tenure,beds,holder,姓名,relation,card,state,valid_from,valid_until";
        let rows: Vec<String> = cells.iter().map(|row| row.join(",")).collect();
        fuzz::roster_sheet(format!("{heading}\n{}\n", rows.join("\n")).as_bytes());
    }
}

fn gathered(text: &str) -> Wanted {
    let heading = "dwelling,place,number,area_m2,holder,name,card,state,to";
    gather(book(&format!("{heading}\n{text}")), &Addresses::new())
}

fn found(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn rows_are_put_together_by_dwelling_and_cardholder() {
    let wanted = gathered(
        "d1,b03-u2,301,94.3,h1,甲,0A01,,\n\
         d1,,,,h1,,0A02,lost,\n\
         d1,,,,,乙,0A03,,\n\
         d1,,,,,乙,0A04,,2026-12-31\n\
         ,b03-u2,301,94.30,,甲,0A05,,\n\
         d2,b03-u2,302,50,,,,,\n\
         d2,,,,,,0A06,,\n",
    );
    assert_eq!(wanted.refused, []);
    let [first, second] = wanted.dwellings.as_slice() else {
        panic!("two dwellings")
    };
    let cards: Vec<usize> = first
        .holders
        .iter()
        .map(|holder| holder.cards.len())
        .collect();
    assert_eq!(cards, [3, 2]);
    assert_eq!(first.holders[1].to, Said::Is("2026-12-31".parse().unwrap()));
    assert_eq!(second.loose_cards.len(), 1);
}

#[test]
fn rows_that_say_the_same_are_one_and_those_that_do_not_are_refused_both() {
    let wanted = gathered(
        "d1,b03-u2,301,94.3,h1,甲,0A01,,\n\
         d1,b03-u2,301,94.3,h1,甲,0A01,,\n\
         d1,,,,h2,乙,0A02,,\n\
         d2,b03-u2,302,50,h3,丙,0A02,,\n\
         d3,b03-u2,303,50,h4,丁,0A03,,\n\
         d3,b03-u2,303,51,h4,丁,0A04,lost,\n\
         d3,,,50,h4,丁,0A03,lost,\n\
         d5,b03-u2,305,50,h2,乙,0A06,,\n",
    );
    insta::assert_snapshot!("contradictions", found(&wanted.refused).join("\n"));
    assert_eq!(
        found(&wanted.notes),
        ["line 3 G card: says the same as line 2"]
    );
    let ids: Vec<&str> = wanted.dwellings.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(ids, ["d1"]);
}
