import { useTranslation } from "react-i18next";
import { Check } from "@/components/Check";
import { areas, type Area, type Reach } from "./standing";

interface Props {
  value: Reach;
  onChange: (value: Reach) => void;
  error?: string;
}

/** What a token may reach: each area for reading, or for changes too. */
export function Reaches({ value, onChange, error }: Props) {
  const { t } = useTranslation();
  const set = (area: Area, reach: "read" | "write" | undefined) => {
    const { [area]: _, ...others } = value;
    onChange(reach ? { ...others, [area]: reach } : others);
  };
  return (
    <fieldset className="field plain">
      <legend className="hidden">{t("admin.tokens.scopes")}</legend>
      {areas.map((area) => {
        const name = t(`admin.tokens.areas.${area}`);
        return (
          <div key={area} className="row apart">
            <span>{name}</span>
            <span className="row">
              {/* Changing includes reading. */}
              <Check aria-label={`${name}: ${t("admin.tokens.read")}`} isSelected={value[area] !== undefined} onChange={(on) => set(area, on ? "read" : undefined)}>
                {t("admin.tokens.read")}
              </Check>
              <Check aria-label={`${name}: ${t("admin.tokens.write")}`} isSelected={value[area] === "write"} onChange={(on) => set(area, on ? "write" : "read")}>
                {t("admin.tokens.write")}
              </Check>
            </span>
          </div>
        );
      })}
      {error && <span className="error">{error}</span>}
    </fieldset>
  );
}
