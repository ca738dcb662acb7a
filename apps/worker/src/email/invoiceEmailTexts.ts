import type { InvoiceLanguage } from '../invoicePdf/invoiceLabels.ts'

/** The words of an e-mail that carries an invoice, in one language. */
export interface InvoiceEmailTexts {
  direction: 'ltr' | 'rtl'
  /** `number` is the invoice's. */
  subject: (number: string) => string
  greeting: (name: string) => string
  introduction: (number: string) => string
  amount: string
  dueDate: string
  attachment: string
}

const en: InvoiceEmailTexts = {
  direction: 'ltr',
  subject: (number) => `Invoice ${number}`,
  greeting: (name) => `Dear ${name},`,
  introduction: (number) => `please find attached our invoice ${number}.`,
  amount: 'Amount due',
  dueDate: 'Due date',
  attachment: 'The invoice is attached as a PDF.',
}

const de: InvoiceEmailTexts = {
  direction: 'ltr',
  subject: (number) => `Rechnung ${number}`,
  greeting: (name) => `Guten Tag ${name},`,
  introduction: (number) => `anbei erhalten Sie unsere Rechnung ${number}.`,
  amount: 'Rechnungsbetrag',
  dueDate: 'Zahlbar bis',
  attachment: 'Die Rechnung ist als PDF angehängt.',
}

const ar: InvoiceEmailTexts = {
  direction: 'rtl',
  subject: (number) => `فاتورة ${number}`,
  greeting: (name) => `السادة ${name} المحترمين،`,
  introduction: (number) => `تجدون طيّه فاتورتنا رقم ${number}.`,
  amount: 'المبلغ المستحق',
  dueDate: 'تاريخ الاستحقاق',
  attachment: 'الفاتورة مرفقة بصيغة PDF.',
}

const he: InvoiceEmailTexts = {
  direction: 'rtl',
  subject: (number) => `חשבונית ${number}`,
  greeting: (name) => `לכבוד ${name},`,
  introduction: (number) => `מצורפת החשבונית שלנו מספר ${number}.`,
  amount: 'סכום לתשלום',
  dueDate: 'לתשלום עד',
  attachment: 'החשבונית מצורפת כקובץ PDF.',
}

const ja: InvoiceEmailTexts = {
  direction: 'ltr',
  subject: (number) => `請求書 ${number}`,
  greeting: (name) => `${name} 様`,
  introduction: (number) => `請求書 ${number} をお送りいたします。`,
  amount: 'ご請求金額',
  dueDate: 'お支払期限',
  attachment: '請求書はPDFで添付しております。',
}

const zh: InvoiceEmailTexts = {
  direction: 'ltr',
  subject: (number) => `发票 ${number}`,
  greeting: (name) => `尊敬的 ${name}：`,
  introduction: (number) => `随信附上发票 ${number}。`,
  amount: '应付金额',
  dueDate: '付款期限',
  attachment: '发票以 PDF 格式附上。',
}

export const invoiceEmailTexts: Readonly<Record<InvoiceLanguage, InvoiceEmailTexts>> = {
  en,
  de,
  ar,
  he,
  ja,
  zh,
}
