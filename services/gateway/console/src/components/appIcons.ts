/**
 * Pictures of apps by what they do, drawn for Gatehouse: lines on a field of 24 by 24, in the colour of the text. An app
 * names one of them (`icon`). A name goes on meaning the same; new ones may be added.
 */
export const appIcons = {
  bank: "M3.5 9.5 12 4l8.5 5.5zM5.5 9.5v8M10 9.5v8M14 9.5v8M18.5 9.5v8M3.5 20h17",
  book: "M5 4.5h11.5a2 2 0 0 1 2 2v13H7a2 2 0 0 1-2-2zM5 17.5a2 2 0 0 1 2-2h11.5M9 8.5h5.5",
  calendar: "M4 6h16v14H4zM4 10.5h16M8 3.5V8M16 3.5V8M8 14.5h3v2.5H8z",
  chart: "M4 4v16h16M8 16.5v-4M12 16.5v-9M16 16.5v-6.5M20 16.5V6",
  chat: "M4 5h16v11h-8l-4.5 4v-4H4zM8.5 9h7M8.5 12.5h4.5",
  cloud: "M7.5 18.5a4 4 0 0 1-.6-7.95 5.5 5.5 0 0 1 10.6 1.05 3.5 3.5 0 0 1 0 6.9z",
  code: "M8.5 7 3.5 12l5 5M15.5 7l5 5-5 5M13.5 4.5l-3 15",
  crm: "M3.5 20v-1.5a4.5 4.5 0 0 1 9 0V20M8 4.5a3.25 3.25 0 1 1 0 6.5 3.25 3.25 0 0 1 0-6.5zM15 7h5.5M15 11h5.5M16.5 15h4",
  design: "M4.5 19.5 6 14 16 4l4 4L10 18zM13.5 6.5l4 4M6 14l4 4",
  files: "M3.5 6.5v12h17v-10h-8.5l-2-2.5H3.5zM3.5 11h17",
  key: "M8 8.5a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 12.5h9V16M17 12.5V15",
  learn: "M2.5 9.5 12 5l9.5 4.5L12 14zM6.5 11.5V16c3 2.7 8 2.7 11 0v-4.5M21.5 9.5v5.5",
  mail: "M3.5 6h17v12.5h-17zM3.5 7.5 12 13l8.5-5.5",
  news: "M4 5h12.5v14.5H6a2 2 0 0 1-2-2zM16.5 9.5H20v8a2 2 0 0 1-2 2h-1.5M7 8.5h6.5v3.5H7zM7 15.5h6.5",
  payroll: "M3.5 6.5h17v11h-17zM12 9.25a2.75 2.75 0 1 1 0 5.5 2.75 2.75 0 0 1 0-5.5zM6.5 9.5v5M17.5 9.5v5",
  people: "M2.5 19.5V18a4.5 4.5 0 0 1 9 0v1.5M7 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM14 14.2a4.5 4.5 0 0 1 7.5 3.3v2M17 6.5a2.75 2.75 0 1 1 0 5.5 2.75 2.75 0 0 1 0-5.5z",
  phone: "M5 4h4l1.5 5-2.5 2a11 11 0 0 0 5 5l2-2.5 5 1.5v4c0 .6-.4 1-1 1C11 20 4 13 4 5c0-.6.4-1 1-1z",
  plane: "M3 11.5 21 4l-5.5 16.5-4-6.5zM11.5 14 21 4",
  shield: "M12 3.5 19.5 6v6c0 4.2-3 7-7.5 8.5C7.5 19 4.5 16.2 4.5 12V6zM8.5 12l2.5 2.5 4.5-5",
  tickets: "M3.5 7h17v3.5a1.75 1.75 0 0 0 0 3.5V17.5h-17V14a1.75 1.75 0 0 0 0-3.5zM14.5 7v2M14.5 11.25v2M14.5 15.5v2",
  travel: "M4 8.5h16V19.5H4zM9 8.5V5h6v3.5M8 8.5v11M16 8.5v11",
  video: "M3.5 6.5h11.5v11H3.5zM15 11l5.5-3v8L15 13z",
  warehouse: "M3.5 20V9L12 4l8.5 5v11M7.5 20v-7h9v7M7.5 16.5h9M12 16.5V20",
  wiki: "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM3.5 12h17M12 3.5c5 5 5 12 0 17M12 3.5c-5 5-5 12 0 17",
} as const;

export type AppIconName = keyof typeof appIcons;

export const appIconNames = Object.keys(appIcons) as AppIconName[];
