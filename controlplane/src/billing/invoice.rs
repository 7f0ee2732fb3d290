//! Invoices that this system writes itself, and one as a PDF. An invoice is what was true on its day: nothing in it follows
//! later changes of the tenant or the plan.

use chrono::{DateTime, Utc};
use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{Error, Tx, db};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    pub description: String,
    pub quantity: i64,
    /// `months`, `GB-months`, `GB`
    pub unit: String,
    pub amount_cents: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Invoice {
    pub id: Uuid,
    pub number: i64,
    pub company: String,
    pub email: String,
    pub currency: String,
    pub lines: Json<Vec<InvoiceLine>>,
    pub total_cents: i64,
    pub period_from: DateTime<Utc>,
    pub period_to: DateTime<Utc>,
    pub issued_at: DateTime<Utc>,
    pub paid_at: Option<DateTime<Utc>>,
}

/// The tenant's of a tenant's transaction, newest first.
pub async fn invoices(tx: &mut Tx) -> Result<Vec<Invoice>, Error> {
    let tenant = tx.tenant()?;
    db::billing::invoices(tx, tenant).await
}

pub async fn invoice(tx: &mut Tx, id: &str) -> Result<Invoice, Error> {
    let tenant = tx.tenant()?;
    let id = Uuid::try_parse(id).map_err(|_| Error::NotFound("invoice"))?;
    let invoice = db::billing::invoice(tx, tenant, id).await?;
    invoice.ok_or(Error::NotFound("invoice"))
}

const SANS: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");
/// A4, in points.
const PAGE: Rect = Rect {
    x1: 0.0,
    y1: 0.0,
    x2: 595.0,
    y2: 842.0,
};
const LEFT: f32 = 64.0;
const RIGHT: f32 = 531.0;

/// One A4 page. Its letters are those of Windows-1252: the fonts that every reader has know no others.
pub fn pdf(invoice: &Invoice) -> Vec<u8> {
    let [catalog, pages, page, content, sans, bold] = [1, 2, 3, 4, 5, 6].map(Ref::new);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    {
        let mut page = pdf.page(page);
        page.media_box(PAGE).parent(pages).contents(content);
        let mut resources = page.resources();
        let mut fonts = resources.fonts();
        fonts.pair(SANS, sans).pair(BOLD, bold);
    }
    for (font, name) in [(sans, "Helvetica"), (bold, "Helvetica-Bold")] {
        let mut font = pdf.type1_font(font);
        font.base_font(Name(name.as_bytes()));
        font.encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    pdf.stream(content, &drawn(invoice));
    pdf.finish()
}

fn drawn(invoice: &Invoice) -> Vec<u8> {
    let day = |at: DateTime<Utc>| at.format("%-d %B %Y").to_string();
    let mut sheet = Sheet(Content::new());
    sheet.write(BOLD, 22.0, LEFT, 760.0, "Invoice");
    let head = [
        ("Number", invoice.number.to_string()),
        ("Date", day(invoice.issued_at)),
        (
            "Period",
            format!("{} to {}", day(invoice.period_from), day(invoice.period_to)),
        ),
        ("Billed to", invoice.company.clone()),
        ("", invoice.email.clone()),
    ];
    let mut y = 718.0;
    for (label, value) in &head {
        sheet.write(SANS, 10.0, LEFT, y, label);
        sheet.write(SANS, 10.0, LEFT + 90.0, y, value);
        y -= 17.0;
    }
    y -= 24.0;
    sheet.write(BOLD, 10.0, LEFT, y, "Description");
    sheet.write(BOLD, 10.0, 350.0, y, "Quantity");
    sheet.write_to(BOLD, 10.0, RIGHT, y, "Amount");
    sheet.rule(y - 7.0);
    for line in invoice.lines.iter() {
        y -= 22.0;
        sheet.write(SANS, 10.0, LEFT, y, &line.description);
        let quantity = format!("{} {}", line.quantity, line.unit);
        sheet.write(SANS, 10.0, 350.0, y, &quantity);
        let amount = money(line.amount_cents, &invoice.currency);
        sheet.write_to(SANS, 10.0, RIGHT, y, &amount);
    }
    sheet.rule(y - 10.0);
    y -= 30.0;
    sheet.write(BOLD, 11.0, LEFT, y, "Total");
    let total = money(invoice.total_cents, &invoice.currency);
    sheet.write_to(BOLD, 11.0, RIGHT, y, &total);
    if let Some(paid) = invoice.paid_at {
        sheet.write(
            SANS,
            10.0,
            LEFT,
            y - 30.0,
            &format!("Paid on {}.", day(paid)),
        );
    }
    sheet.0.finish().to_vec()
}

/// What is drawn on a page.
struct Sheet(Content);

impl Sheet {
    fn write(&mut self, font: Name<'_>, size: f32, x: f32, y: f32, text: &str) {
        let bytes = windows_1252(text);
        let content = &mut self.0;
        content.begin_text().set_font(font, size).next_line(x, y);
        content.show(Str(&bytes)).end_text();
    }

    /// Figures, ending at `right`.
    fn write_to(&mut self, font: Name<'_>, size: f32, right: f32, y: f32, text: &str) {
        let width: f32 = text.chars().map(figure_width).sum();
        self.write(font, size, right - width * size / 1000.0, y, text);
    }

    fn rule(&mut self, y: f32) {
        let content = &mut self.0;
        content.set_line_width(0.5).move_to(LEFT, y);
        content.line_to(RIGHT, y).stroke();
    }
}

/// Of Helvetica, in thousandths of its size, as far as amounts of money are made of it.
fn figure_width(c: char) -> f32 {
    match c {
        ',' | '.' | ' ' => 278.0,
        'A'..='Z' | 'm' => 722.0,
        _ => 556.0,
    }
}

/// What the encoding lacks becomes a question mark.
fn windows_1252(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(c)).unwrap_or(b'?'),
        '€' => 0x80,
        '…' => 0x85,
        'Š' => 0x8a,
        'Œ' => 0x8c,
        'Ž' => 0x8e,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '–' => 0x96,
        '—' => 0x97,
        '™' => 0x99,
        'š' => 0x9a,
        'œ' => 0x9c,
        'ž' => 0x9e,
        _ => b'?',
    };
    text.chars().map(byte).collect()
}

/// `1,499.00 USD`
fn money(cents: i64, currency: &str) -> String {
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{:02} {}", cents % 100, currency.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Invoice {
        Invoice {
            id: Uuid::nil(),
            number: 7,
            company: "Müller & Söhne (GmbH) €".to_owned(),
            email: "ann@example.com".to_owned(),
            currency: "usd".to_owned(),
            lines: Json(vec![InvoiceLine {
                description: "Business plan".to_owned(),
                quantity: 1,
                unit: "month".to_owned(),
                amount_cents: 149_900,
            }]),
            total_cents: 149_900,
            period_from: DateTime::UNIX_EPOCH,
            period_to: DateTime::UNIX_EPOCH + chrono::Duration::days(31),
            issued_at: DateTime::UNIX_EPOCH,
            paid_at: None,
        }
    }

    #[test]
    fn a_pdf_says_who_owes_what() {
        let bytes = pdf(&sample());
        assert!(bytes.starts_with(b"%PDF-1."));
        assert!(bytes.trim_ascii_end().ends_with(b"%%EOF"));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("(1,499.00 USD) Tj"), "{text}");
        assert!(!text.contains("Paid on"));
        let mut paid = sample();
        paid.paid_at = Some(DateTime::UNIX_EPOCH);
        assert!(String::from_utf8_lossy(&pdf(&paid)).contains("Paid on 1 January 1970"));
    }

    #[test]
    fn letters_are_written_as_the_fonts_have_them() {
        assert_eq!(windows_1252("aü€Ж\n"), [b'a', 0xfc, 0x80, b'?', b'?']);
        assert_eq!(money(149_900, "usd"), "1,499.00 USD");
        assert_eq!(money(5, "eur"), "0.05 EUR");
        assert_eq!(money(123_456_789, "usd"), "1,234,567.89 USD");
    }
}
